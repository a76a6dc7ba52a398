import { Deferred } from '../../../lib/async/deferred.ts'
import type { RateLimiter } from '../../../lib/async/rate-limiter.ts'
import type { Intake } from '../../../ports/source.ts'

export interface ContentReceiveOptions {
  readonly intake: Intake
  /** How many bytes the intake is to get. */
  readonly length: number
  readonly limiter: RateLimiter
  /** Ends the waiting for the limiter. */
  readonly signal: AbortSignal
  /** Called when the content can take bytes again. */
  readonly onResume: () => void
  /** Called when the content cannot take any more bytes. */
  readonly onFailure: (reason: unknown) => void
}

/** Receives a part of one content into an intake, as fast as the intake and the download limit allow. */
export class ContentReceive {
  readonly #options: ContentReceiveOptions
  readonly #done = new Deferred<void>()
  #missingBytes: number
  /** How many bytes the limiter has granted and that have not come yet. */
  #grantedBytes = 0
  #isPaused = false
  #isEnded = false

  constructor(options: ContentReceiveOptions) {
    this.#options = options
    this.#missingBytes = options.length
  }

  /** Resolves when all bytes are in the intake. */
  get done(): Promise<void> {
    return this.#done.promise
  }

  get missingBytes(): number {
    return this.#missingBytes
  }

  /** No bytes can be taken until `onResume` is called. */
  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Gives false when the limiter has to be waited for. */
  start(): boolean {
    return this.#takeQuantum()
  }

  /** Gives memory of the intake for at most `maxBytes`. */
  buffer(maxBytes: number): Uint8Array {
    const memory = this.#options.intake.buffer()
    const max = Math.min(maxBytes, this.#grantedBytes)
    return memory.length <= max ? memory : memory.subarray(0, max)
  }

  /** Says that `length` bytes of the last `buffer` hold content now. */
  filled(length: number): void {
    const { intake } = this.#options
    this.#missingBytes -= length
    this.#grantedBytes -= length
    const hasRoom = intake.filled(length)
    if (this.#missingBytes === 0) {
      this.#end()
      this.#done.resolve()
    } else if (!hasRoom) this.#pauseUntil(intake.drained())
    else if (this.#grantedBytes === 0) this.#takeQuantum()
  }

  fail(reason: unknown): void {
    this.#end()
    this.#done.reject(reason)
  }

  #end(): void {
    this.#isEnded = true
    this.#isPaused = false
  }

  #takeQuantum(): boolean {
    const { limiter, signal } = this.#options
    const bytes = Math.min(this.#missingBytes, limiter.quantumBytes)
    const granted = limiter.take(bytes, { signal })
    this.#grantedBytes = bytes
    if (granted !== undefined) this.#pauseUntil(granted)
    return granted === undefined
  }

  #pauseUntil(ready: Promise<void>): void {
    this.#isPaused = true
    ready.then(
      () => {
        if (this.#isEnded) return
        this.#isPaused = false
        if (this.#grantedBytes > 0 || this.#takeQuantum()) this.#options.onResume()
      },
      (reason: unknown) => {
        if (!this.#isEnded) this.#options.onFailure(reason)
      },
    )
  }
}
