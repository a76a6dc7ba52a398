import { setTimeout as wait } from 'node:timers/promises'

/** What was not used in this time is not saved up for later. */
const MOST_SAVED_MS = 100

/** A small file takes its time too: to be found, opened and closed. */
const LEAST_BYTES = 64 * 1024

/** Keeps to so many bytes per second; undefined: as fast as it goes. */
export class Pace {
  readonly #bytesPerSecond: number | undefined
  /** When everything asked for so far will have been paid for, on the clock of `performance`. */
  #paidAt = 0

  constructor(bytesPerSecond: number | undefined) {
    this.#bytesPerSecond = bytesPerSecond
  }

  /** How much to take at a time, for steps that are neither felt nor too many. */
  get piece(): number {
    const rate = this.#bytesPerSecond
    return rate === undefined ? 4 * 1024 * 1024 : Math.min(Math.max(Math.ceil(rate / 8), 1024), 1024 * 1024)
  }

  /** At a rate at which this would take long, a small file is not to take longer than a piece of a large one. */
  get #least(): number {
    return Math.min(LEAST_BYTES, this.piece)
  }

  /** Resolves when it is time for so many bytes. Rejects when aborted. */
  async take(bytes: number, { signal }: { signal: AbortSignal }): Promise<void> {
    signal.throwIfAborted()
    if (this.#bytesPerSecond === undefined) return
    const now = performance.now()
    const cost = (Math.max(bytes, this.#least) / this.#bytesPerSecond) * 1000
    this.#paidAt = Math.max(this.#paidAt, now - MOST_SAVED_MS) + cost
    if (this.#paidAt > now) await wait(this.#paidAt - now, undefined, { signal })
  }
}
