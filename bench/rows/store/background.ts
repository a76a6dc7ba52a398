/** Repeats a step until `stop`, which throws the error of a failed step. */
export class Background {
  readonly #stopping = new AbortController()
  readonly #ended: Promise<void>

  constructor(step: (signal: AbortSignal) => Promise<void>) {
    this.#ended = this.#repeat(step)
    // `stop` throws the error.
    this.#ended.catch(() => {})
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#ended
  }

  /** Each step must handle the abort itself. */
  async #repeat(step: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) await step(signal)
  }
}
