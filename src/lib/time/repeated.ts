const DAY_MS = 24 * 60 * 60 * 1000
const HOUR_MS = 60 * 60 * 1000

interface RepeatedOptions {
  readonly everyMs?: number
  /** The wait becomes longer at random, by at most this much, so that not all nodes work at the same time. */
  readonly jitterMs?: number
}

/**
 * Runs work again and again until it is stopped: for the first time after about the jitter, and then each time so long after
 * the end of the last run. By default that is after about an hour, and then about once a day.
 */
export class Repeated {
  readonly #work: (options: { signal: AbortSignal }) => Promise<void>
  readonly #everyMs: number
  readonly #jitterMs: number
  readonly #stopping = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined

  /** `work` reports its failures itself. */
  constructor(
    work: (options: { signal: AbortSignal }) => Promise<void>,
    { everyMs = DAY_MS, jitterMs = HOUR_MS }: RepeatedOptions = {},
  ) {
    this.#work = work
    this.#everyMs = everyMs
    this.#jitterMs = jitterMs
  }

  start(): void {
    this.#wait(this.#jitterMs / 2)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    clearTimeout(this.#timer)
    await this.#running
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => this.#run(), ms + Math.random() * this.#jitterMs).unref()
  }

  #run(): void {
    this.#running = this.#work({ signal: this.#stopping.signal })
      .catch(() => {})
      .then(() => {
        if (!this.#stopping.signal.aborted) this.#wait(this.#everyMs)
      })
  }
}
