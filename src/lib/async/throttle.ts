/** Work that is done at once when it is called for, but not more often than every so many milliseconds. */
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
    // Not from within whatever calls for it: that may have more to say.
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
