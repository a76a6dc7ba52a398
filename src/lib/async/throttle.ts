/** Runs work soon after it was called for, but at most once in `everyMs`. */
export class Throttle {
  readonly #work: () => void
  readonly #everyMs: number
  #doneAt = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  constructor(everyMs: number, work: () => void) {
    this.#everyMs = everyMs
    this.#work = work
  }

  call(): void {
    if (this.#timer !== undefined) return
    const restMs = this.#doneAt + this.#everyMs - performance.now()
    // The work never runs inside `call`, whose caller may be about to change more of what the work reads.
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        this.#doneAt = performance.now()
        this.#work()
      },
      Math.max(0, restMs),
    )
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
