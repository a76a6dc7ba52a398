import { Failure } from '../../../ports/failure.ts'

export interface StallTimerOptions {
  readonly sourceName: string
  readonly timeoutMs: number
  /** How many bytes must come within `timeoutMs`. */
  readonly minBytes: number
  /** Bytes of the source wait for the disk, whose thread reads no more meanwhile: the source is not to blame. */
  readonly isDiskBehind: () => boolean
}

/** Gives up a source that brings too little. Its signal is aborted then, or when the attempt finds another reason. */
export class StallTimer {
  readonly #options: StallTimerOptions
  readonly #controller = new AbortController()
  /** The bytes since the timer was last started. */
  #bytes = 0
  #timer: NodeJS.Timeout | undefined
  #isOver = false
  #failure: Failure | undefined

  constructor(options: StallTimerOptions) {
    this.#options = options
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Why the source was given up. */
  get failure(): Failure | undefined {
    return this.#failure
  }

  countBytes(bytes: number): void {
    this.#bytes += bytes
    if (this.#timer === undefined || this.#bytes >= this.#options.minBytes) this.start()
  }

  /** Starts the timer, from its beginning if it runs. */
  start(): void {
    if (this.#isOver) return
    this.#bytes = 0
    if (this.#timer === undefined) this.#timer = setTimeout(() => this.#stalled(), this.#options.timeoutMs)
    else this.#timer.refresh()
  }

  /** Stops the timer while the source is not to blame. */
  pause(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /**
   * Stops the timer for good: a source that has not heard of the end yet would start it, and keep the process running.
   */
  end(): void {
    this.#isOver = true
    this.pause()
  }

  giveUp(failure: Failure): void {
    this.#failure ??= failure
    this.#controller.abort(failure)
  }

  #stalled(): void {
    const { sourceName, timeoutMs, isDiskBehind } = this.#options
    if (isDiskBehind()) {
      this.start()
      return
    }
    const amount = this.#bytes === 0 ? 'nothing' : `only ${this.#bytes} bytes`
    const message = `${sourceName} has sent ${amount} for ${timeoutMs / 1000} s.`
    this.giveUp(new Failure('stalled', message, { source: sourceName }))
  }
}
