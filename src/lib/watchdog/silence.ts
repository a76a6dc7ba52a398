/** A tick that takes this many times as long as it should was late. */
const LATE = 1.5

/**
 * Counts the ticks in a row without a beat of the main thread. A tick that is late says that the process, or the machine,
 * was stopped or had no time for any thread, so the count begins again.
 */
export class Silence {
  readonly #tickMs: number
  #beats: number
  #ticks = 0

  constructor(tickMs: number, beats: number) {
    this.#tickMs = tickMs
    this.#beats = beats
  }

  /** Returns how many ticks in a row were on time and without a beat. */
  tick(beats: number, { tookMs, isDebugged }: { tookMs: number; isDebugged: boolean }): number {
    const hasMoved = beats !== this.#beats
    this.#beats = beats
    this.#ticks = hasMoved || isDebugged || tookMs > this.#tickMs * LATE ? 0 : this.#ticks + 1
    return this.#ticks
  }
}
