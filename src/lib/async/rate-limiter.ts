import { onAbort } from './abort.ts'

/** A limiter that was idle grants the bytes of at most this time at once. */
const MAX_BURST_MS = 100
const MAX_QUANTUM_BYTES = 256 * 1024
const MIN_QUANTUM_BYTES = 1024
/** At a low rate a second has at least this many quanta, so that all transfers progress steadily. */
const QUANTA_PER_SECOND = 16

export interface Clock {
  /** The time in milliseconds. */
  now(): number
  /** Calls `then` after `ms`. The function that it gives back cancels that. */
  after(ms: number, then: () => void): () => void
}

const clock: Clock = {
  now: () => performance.now(),
  after(ms, then) {
    const timer = setTimeout(then, ms)
    return () => clearTimeout(timer)
  },
}

interface Waiter {
  readonly bytes: number
  readonly begin: () => void
}

/**
 * Limits all transfers that share it to a rate in bytes per second; without a rate it grants everything at once. Requests
 * are granted in their order. A transfer requests one quantum after the other, so the transfers take turns.
 */
export class RateLimiter {
  #quantumBytes = Number.POSITIVE_INFINITY
  #bytesPerMs: number | undefined
  readonly #clock: Clock
  readonly #waiting = new Set<Waiter>()
  /** When the rate has made up for all bytes that were granted. */
  #paidAt = Number.NEGATIVE_INFINITY
  #stopWaiting: (() => void) | undefined

  constructor(bytesPerSecond: number | undefined, time: Clock = clock) {
    this.#clock = time
    this.limitTo(bytesPerSecond)
  }

  /** The most bytes that a transfer requests at a time. */
  get quantumBytes(): number {
    return this.#quantumBytes
  }

  /** Changes the rate, also for the requests that wait; undefined ends the limit. */
  limitTo(bytesPerSecond: number | undefined): void {
    this.#bytesPerMs = bytesPerSecond === undefined ? undefined : bytesPerSecond / 1000
    const fair = Math.floor((bytesPerSecond ?? Number.POSITIVE_INFINITY) / QUANTA_PER_SECOND)
    this.#quantumBytes =
      bytesPerSecond === undefined
        ? Number.POSITIVE_INFINITY
        : Math.min(MAX_QUANTUM_BYTES, Math.max(MIN_QUANTUM_BYTES, fair))
    // What was granted at the old rate is not owed at the new one.
    this.#paidAt = Number.NEGATIVE_INFINITY
    this.#stop()
    this.#serve()
  }

  /**
   * Gives undefined when the bytes are granted at once, or else a promise that resolves when they are. It rejects with
   * the signal's reason.
   */
  take(bytes: number, { signal }: { signal: AbortSignal }): Promise<void> | undefined {
    if (this.#bytesPerMs === undefined) return undefined
    if (this.#waiting.size === 0 && this.#paidAt <= this.#clock.now()) {
      this.#pay(bytes, this.#bytesPerMs)
      return undefined
    }
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const begin = (): void => {
        stop()
        resolve()
      }
      const turn: Waiter = { bytes, begin }
      const stop = onAbort(signal, () => {
        this.#waiting.delete(turn)
        if (this.#waiting.size === 0) this.#stop()
        reject(signal.reason)
      })
      this.#waiting.add(turn)
      this.#serve()
    })
  }

  #pay(bytes: number, bytesPerMs: number): void {
    this.#paidAt = Math.max(this.#paidAt, this.#clock.now() - MAX_BURST_MS) + bytes / bytesPerMs
  }

  #serve(): void {
    if (this.#stopWaiting !== undefined) return
    for (const turn of this.#waiting) {
      const bytesPerMs = this.#bytesPerMs
      const early = this.#paidAt - this.#clock.now()
      if (bytesPerMs !== undefined && early > 0) {
        this.#stopWaiting = this.#clock.after(Math.ceil(early), () => {
          this.#stopWaiting = undefined
          this.#serve()
        })
        return
      }
      this.#waiting.delete(turn)
      if (bytesPerMs !== undefined) this.#pay(turn.bytes, bytesPerMs)
      turn.begin()
    }
  }

  #stop(): void {
    this.#stopWaiting?.()
    this.#stopWaiting = undefined
  }
}
