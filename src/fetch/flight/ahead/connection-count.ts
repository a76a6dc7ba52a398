import type { ConnectionsPerBlob } from '../../../ports/source.ts'

/** How long each number of connections is measured. */
const MEASURED_MS = 1000
/** More connections are measured only when they have begun. */
const BEGINNING_MS = 250
/** One connection that brings so much is not what limits the rate. */
const FAST_BYTES_PER_MS = (128 * 1024 * 1024) / 1000
/** More connections that did not help are tried once more after this time: something else may have been slow. */
const AGAIN_AFTER_MS = 5000
/** Twice as many connections must bring so much more. */
const LEAST_GAIN = 1.25

/** How many connections bring one blob: a given number, or twice as many as before as long as that makes it faster. */
export class ConnectionCount {
  readonly #most: number
  #count: number
  #isFinal: boolean
  #hasTriedAgain = false
  /** What was measured before the number was last raised. */
  #before: { readonly count: number; readonly bytesPerMs: number } | undefined
  #measured: { readonly since: number; bytes: number } | undefined

  constructor({ most, isAuto }: ConnectionsPerBlob = { most: 1, isAuto: false }) {
    this.#most = most
    this.#count = isAuto ? 1 : most
    this.#isFinal = !isAuto || most === 1
  }

  get count(): number {
    return this.#count
  }

  /** Whether there may be more than one connection, now or later. */
  get mayBeSeveral(): boolean {
    return this.#count > 1 || !this.#isFinal
  }

  /** Says that bytes have come, over whichever connection. Gives whether the number is another one now. */
  came(bytes: number, now: number): boolean {
    if (this.#isFinal) return false
    this.#measured ??= { since: now + (this.#before === undefined ? 0 : BEGINNING_MS), bytes: 0 }
    const ms = now - this.#measured.since
    if (ms < 0) return false
    this.#measured.bytes += bytes
    if (ms < MEASURED_MS) return false
    const bytesPerMs = this.#measured.bytes / ms
    this.#measured = undefined
    return this.#decide(bytesPerMs, now)
  }

  /** The source does not want several connections. */
  useOne(): void {
    this.#count = 1
    this.#isFinal = true
  }

  #decide(bytesPerMs: number, now: number): boolean {
    const before = this.#before
    if (before !== undefined && bytesPerMs < before.bytesPerMs * LEAST_GAIN) {
      this.#count = before.count
      this.#before = undefined
      this.#isFinal = this.#hasTriedAgain
      this.#hasTriedAgain = true
      this.#measured = { since: now + AGAIN_AFTER_MS, bytes: 0 }
      return true
    }
    if (this.#count >= this.#most || (before === undefined && bytesPerMs >= FAST_BYTES_PER_MS)) {
      this.#isFinal = true
      return false
    }
    this.#before = { count: this.#count, bytesPerMs }
    this.#count = Math.min(this.#most, this.#count * 2)
    return true
  }
}
