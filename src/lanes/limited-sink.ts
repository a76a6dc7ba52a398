import type { RateLimiter } from '../lib/async/rate-limiter.ts'
import type { SharedSink } from './lent-body.ts'

export interface LimitedSinkOptions {
  /** How many bytes the sink is to get; infinite: nobody has said it. */
  readonly length: number
  readonly limiter: RateLimiter
  /** Ends the waiting for the limiter. */
  readonly signal: AbortSignal
}

/** A sink that takes bytes as fast as another sink and the download limit allow. */
export class LimitedSink implements SharedSink {
  readonly #sink: SharedSink
  readonly #options: LimitedSinkOptions
  #missingBytes: number
  /** How many bytes the limiter has granted and that have not come yet. */
  #grantedBytes = 0
  #granted: Promise<void> | undefined
  #hasRoom = true

  private constructor(sink: SharedSink, options: LimitedSinkOptions) {
    this.#sink = sink
    this.#options = options
    this.#missingBytes = options.length
  }

  /** Waits until the limiter has granted the first bytes. */
  static async open(sink: SharedSink, options: LimitedSinkOptions): Promise<LimitedSink> {
    const limited = new LimitedSink(sink, options)
    if (!limited.#takeQuantum()) await limited.drained()
    return limited
  }

  buffer(): Uint8Array {
    const memory = this.#sink.buffer()
    return memory.length <= this.#grantedBytes ? memory : memory.subarray(0, this.#grantedBytes)
  }

  nextBuffer(): Uint8Array | undefined {
    const granted = this.#grantedBytes - this.#sink.buffer().length
    return granted > 0 ? this.#sink.nextBuffer?.()?.subarray(0, granted) : undefined
  }

  filled(length: number): boolean {
    this.#missingBytes -= length
    this.#grantedBytes -= length
    this.#hasRoom = this.#sink.filled(length)
    const isGranted = this.#grantedBytes > 0 || this.#missingBytes === 0 || this.#takeQuantum()
    return this.#hasRoom && isGranted
  }

  async drained(): Promise<void> {
    if (!this.#hasRoom) await this.#sink.drained()
    this.#hasRoom = true
    await this.#granted
    this.#granted = undefined
  }

  /** Gives false when the limiter has to be waited for. */
  #takeQuantum(): boolean {
    const { limiter, signal } = this.#options
    this.#grantedBytes = Math.min(this.#missingBytes, limiter.quantumBytes)
    this.#granted = limiter.take(this.#grantedBytes, { signal })
    // `drained` reports the failure, perhaps only after it has waited for the sink.
    this.#granted?.catch(() => {})
    return this.#granted === undefined
  }
}
