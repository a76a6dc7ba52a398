import { onAbort } from '../../lib/async/abort.ts'
import type { OnPace } from '../../ports/access/pull-rights.ts'
import { Failure } from '../../ports/failure.ts'

/** What would have to wait for a limit of this agent for longer fails, because a client is waiting. It bounds the queue, too. */
export const LONGEST_WAIT_MS = 20_000

interface PacedRequest {
  readonly signal: AbortSignal
  readonly onPace?: OnPace | undefined
}

/** Lets requests begin one after another, so many in a second at most. A request that is aborted leaves its turn to the next. */
export class RequestPace {
  readonly #intervalMs: number
  readonly #now: () => number
  readonly #waiting = new Set<() => void>()
  /** When the next request may begin. */
  #nextAt = Number.NEGATIVE_INFINITY
  /** Runs while requests wait. */
  #timer: NodeJS.Timeout | undefined

  constructor(perSecond: number, now: () => number = () => performance.now()) {
    this.#intervalMs = 1000 / perSecond
    this.#now = now
  }

  /** Resolves when a request may begin. Throws a `Failure` of `source` at once when that would take too long. */
  async turn(source: string, { signal, onPace }: PacedRequest): Promise<void> {
    onPace?.('waits')
    await this.#wait(source, signal)
    onPace?.('begins')
  }

  #wait(source: string, signal: AbortSignal): Promise<void> | undefined {
    signal.throwIfAborted()
    const now = this.#now()
    if (this.#waiting.size === 0 && this.#nextAt <= now) {
      this.#nextAt = now + this.#intervalMs
      return undefined
    }
    const waitMs = this.#nextAt + this.#waiting.size * this.#intervalMs - now
    if (waitMs > LONGEST_WAIT_MS) {
      const message = `${source} has more requests to answer than maxRequestsPerSecond allows within ${LONGEST_WAIT_MS / 1000} s`
      throw new Failure('busy', message, { source, retryAfterMs: Math.ceil(waitMs) })
    }
    return new Promise((resolve, reject) => {
      const begin = (): void => {
        stop()
        resolve()
      }
      this.#waiting.add(begin)
      const stop = onAbort(signal, () => {
        this.#waiting.delete(begin)
        this.#schedule()
        reject(signal.reason)
      })
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#waiting.size === 0) {
      clearTimeout(this.#timer)
      this.#timer = undefined
      return
    }
    this.#timer ??= setTimeout(() => this.#beginDue(), Math.ceil(this.#nextAt - this.#now()))
  }

  /** Several requests may be due, because a timer waits for a millisecond at least. */
  #beginDue(): void {
    this.#timer = undefined
    const now = this.#now()
    for (const begin of this.#waiting) {
      if (this.#nextAt > now) break
      this.#waiting.delete(begin)
      this.#nextAt += this.#intervalMs
      begin()
    }
    this.#schedule()
  }
}
