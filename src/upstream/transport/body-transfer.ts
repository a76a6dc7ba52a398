import type { Intake } from '../../ports/source.ts'

/** The last bytes of a body are read as they come. */
const NEAR_END_BYTES = 256 * 1024

/**
 * Moves one response body of known length into an intake: first past the bytes to skip, then into the intake's memory,
 * with a pause whenever the intake is full.
 */
export class BodyTransfer {
  readonly #intake: Intake
  readonly #onDrained: () => void
  readonly #onError: (error: unknown) => void
  #remainingBytes: number
  #skipBytes: number
  #isPaused = false

  constructor(
    intake: Intake,
    options: {
      length: number
      skip: number
      /** The intake has room again after a pause. */
      onDrained: () => void
      /** The intake cannot take the rest. */
      onError: (error: unknown) => void
    },
  ) {
    this.#intake = intake
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
   * The memory of the intake for the next bytes, never larger than the rest of the body: whatever memory a socket is given
   * may be filled to its end. Undefined while the next bytes are not for the intake.
   */
  room(): Uint8Array | undefined {
    if (this.#skipBytes > 0 || this.isComplete) return undefined
    const memory = this.#intake.buffer()
    return memory.length <= this.#remainingBytes ? memory : memory.subarray(0, this.#remainingBytes)
  }

  /** The socket has put `length` bytes into the memory of `room`. */
  filled(length: number): void {
    this.#remainingBytes -= length
    const hasRoom = this.#intake.filled(length)
    if (!this.isComplete && !hasRoom) this.#pause()
  }

  /** Takes bytes that were read elsewhere: skips them, or copies as many as fit into the intake. Returns how many. */
  take(bytes: Buffer): number {
    const skipped = Math.min(this.#skipBytes, bytes.length, this.#remainingBytes)
    if (skipped > 0) {
      this.#skipBytes -= skipped
      this.#remainingBytes -= skipped
      return skipped
    }
    const memory = this.#intake.buffer()
    const length = Math.min(memory.length, bytes.length, this.#remainingBytes)
    memory.set(bytes.subarray(0, length))
    this.filled(length)
    return length
  }

  #pause(): void {
    this.#isPaused = true
    this.#intake.drained().then(
      () => {
        this.#isPaused = false
        this.#onDrained()
      },
      (error: unknown) => this.#onError(error),
    )
  }
}
