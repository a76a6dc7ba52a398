import type { BodySink } from '../lib/http1/body-transfer.ts'

/** A sink that a lane can fill: its memory is shared. */
export interface SharedSink extends BodySink {
  /** Memory for the bytes after those of `buffer`, which it becomes when that is full; undefined: there is none yet. */
  nextBuffer?(): Uint8Array | undefined
}

/**
 * The memory of one sink, lent to a lane piece by piece while the lane reads a body. The sink hears of bytes that the lane has
 * filled in, as if they had been read by the caller: never while it is full, and in pieces that its memory has.
 */
export class LentBody {
  readonly #sink: SharedSink
  readonly #lend: (pieces: readonly Uint8Array[]) => void
  readonly #onTaken: () => void
  readonly #onError: (error: unknown) => void
  #remainingBytes: number
  /** How much of each lent piece the sink does not count as filled yet. */
  readonly #lentBytes: number[] = []
  /** Bytes that the lane has filled in and the sink has not taken. */
  #filledBytes = 0
  #isWaiting = false
  #isOver = false

  /** `length`: how many bytes of the body are for the sink. */
  constructor(
    sink: SharedSink,
    length: number,
    options: {
      lend: (pieces: readonly Uint8Array[]) => void
      /** The sink has taken all bytes. */
      onTaken: () => void
      /** The sink cannot take the rest. */
      onError: (error: unknown) => void
    },
  ) {
    this.#sink = sink
    this.#remainingBytes = length
    this.#lend = options.lend
    this.#onTaken = options.onTaken
    this.#onError = options.onError
  }

  get isComplete(): boolean {
    return this.#remainingBytes === 0
  }

  /** The pieces that can be lent now and are not lent yet. */
  pieces(): readonly Uint8Array[] {
    const lent = this.#lentBytes.reduce((sum, bytes) => sum + bytes, 0)
    const pieces: Uint8Array[] = []
    let missing = this.#remainingBytes - lent
    for (const memory of [this.#sink.buffer(), this.#sink.nextBuffer?.()].slice(this.#lentBytes.length)) {
      if (memory === undefined || missing <= 0) break
      if (!(memory.buffer instanceof SharedArrayBuffer)) throw new Error('a lane can fill only shared memory')
      const piece = memory.subarray(0, missing)
      this.#lentBytes.push(piece.length)
      missing -= piece.length
      pieces.push(piece)
    }
    return pieces
  }

  /** The lane has filled the next `length` bytes. */
  filled(length: number): void {
    this.#filledBytes += length
    this.#continue()
  }

  /** No byte reaches the sink any more. */
  end(): void {
    this.#isOver = true
  }

  #continue(): void {
    if (this.#isOver || this.#isWaiting) return
    try {
      if (!this.#take()) this.#wait()
      else if (this.isComplete) this.#onTaken()
      else {
        const pieces = this.pieces()
        if (pieces.length > 0) this.#lend(pieces)
      }
    } catch (error) {
      this.#onError(error)
    }
  }

  /** Passes what was filled to the sink. False: the sink is full, and the body is not complete. */
  #take(): boolean {
    for (
      let [lent] = this.#lentBytes;
      lent !== undefined && this.#filledBytes > 0;
      [lent] = this.#lentBytes
    ) {
      const length = Math.min(lent, this.#filledBytes)
      if (length === lent) this.#lentBytes.shift()
      else this.#lentBytes[0] = lent - length
      this.#filledBytes -= length
      this.#remainingBytes -= length
      if (!this.#sink.filled(length) && !this.isComplete) return false
    }
    return true
  }

  #wait(): void {
    this.#isWaiting = true
    this.#sink.drained().then(
      () => {
        this.#isWaiting = false
        this.#continue()
      },
      (error: unknown) => {
        if (!this.#isOver) this.#onError(error)
      },
    )
  }
}
