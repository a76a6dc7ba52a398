/** The same step again and again until `stop`, which says how it failed if it did. */
export class Background {
  readonly #stopping = new AbortController()
  readonly #ended: Promise<void>

  constructor(step: (signal: AbortSignal) => Promise<void>) {
    this.#ended = this.#repeat(step)
    // Told by `stop`.
    this.#ended.catch(() => {})
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#ended
  }

  /** What a step does when it is stopped half-way is its own affair. */
  async #repeat(step: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) await step(signal)
  }
}
