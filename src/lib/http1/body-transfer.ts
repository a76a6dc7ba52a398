/** The last bytes of a body are read as they come. */
const NEAR_END_BYTES = 256 * 1024

/** Where a body goes: memory to read into, and a bound for how much of it may be full. */
export interface BodySink {
  /** Memory for the next bytes, never empty. It stays the same until `filled`. */
  buffer(): Uint8Array
  /** Gives false when no more bytes may come until `drained` resolves. */
  filled(length: number): boolean
  /** Rejects when no more bytes can be taken. */
  drained(): Promise<void>
}

/**
 * Moves one response body of known length into a sink: first past the bytes to skip, then into the sink's memory,
 * with a pause whenever the sink is full.
 */
export class BodyTransfer {
  readonly #sink: BodySink
  readonly #onDrained: () => void
  readonly #onError: (error: unknown) => void
  #remainingBytes: number
  #skipBytes: number
  #isPaused = false

  constructor(
    sink: BodySink,
    options: {
      length: number
      skip: number
      /** The sink has room again after a pause. */
      onDrained: () => void
      /** The sink cannot take the rest. */
      onError: (error: unknown) => void
    },
  ) {
    this.#sink = sink
    this.#remainingBytes = options.length
    this.#skipBytes = options.skip
    this.#onDrained = options.onDrained
    this.#onError = options.onError
  }

  get isComplete(): boolean {
    return this.#remainingBytes === 0
  }

  get isNearEnd(): boolean {
    return this.#remainingBytes <= NEAR_END_BYTES
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /**
   * The memory of the sink for the next bytes, never larger than the rest of the body: whatever memory a socket is given
   * may be filled to its end. Undefined while the next bytes are not for the sink.
   */
  room(): Uint8Array | undefined {
    if (this.#skipBytes > 0 || this.isComplete) return undefined
    const memory = this.#sink.buffer()
    return memory.length <= this.#remainingBytes ? memory : memory.subarray(0, this.#remainingBytes)
  }

  /** The socket has put `length` bytes into the memory of `room`. */
  filled(length: number): void {
    this.#remainingBytes -= length
    const hasRoom = this.#sink.filled(length)
    if (!this.isComplete && !hasRoom) this.#pause()
  }

  /** Takes bytes that were read elsewhere: skips them, or copies as many as fit into the sink. Returns how many. */
  take(bytes: Buffer): number {
    const skipped = Math.min(this.#skipBytes, bytes.length, this.#remainingBytes)
    if (skipped > 0) {
      this.#skipBytes -= skipped
      this.#remainingBytes -= skipped
      return skipped
    }
    const memory = this.#sink.buffer()
    const length = Math.min(memory.length, bytes.length, this.#remainingBytes)
    memory.set(bytes.subarray(0, length))
    this.filled(length)
    return length
  }

  #pause(): void {
    this.#isPaused = true
    this.#sink.drained().then(
      () => {
        this.#isPaused = false
        this.#onDrained()
      },
      (error: unknown) => this.#onError(error),
    )
  }
}
