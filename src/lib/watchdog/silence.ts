/** A tick that takes this many times as long as it should was late. */
const LATE = 1.5

/** One look at the main thread. */
export interface Tick {
  readonly beats: number
  /** The time since the last tick. */
  readonly tookMs: number
  /** How much of it the main thread has had; undefined where the kernel does not say it. */
  readonly ownMs: number | undefined
  readonly isDebugged: boolean
}

/**
 * Adds up the time that the main thread has had without a beat. A tick that is late says that the process, or the machine,
 * was stopped or had no time for any thread: no tick adds more than it should take, and if the kernel does not say what the
 * main thread has had of a late one, the sum begins again.
 */
export class Silence {
  readonly #tickMs: number
  #beats: number
  #silentMs = 0

  constructor(tickMs: number, beats: number) {
    this.#tickMs = tickMs
    this.#beats = beats
  }

  /** Returns for how long there was no beat. */
  tick({ beats, tookMs, ownMs, isDebugged }: Tick): number {
    const hasMoved = beats !== this.#beats
    this.#beats = beats
    const isUnknown = ownMs === undefined && tookMs > this.#tickMs * LATE
    const added = Math.min(ownMs ?? tookMs, this.#tickMs)
    this.#silentMs = hasMoved || isDebugged || isUnknown ? 0 : this.#silentMs + added
    return this.#silentMs
  }
}
