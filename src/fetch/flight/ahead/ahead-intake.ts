import { AHEAD_UNIT_BYTES, type BytesAhead } from '../../../ports/blob-store.ts'
import type { Intake } from '../../../ports/source.ts'

/** A multiple of the units in which bytes ahead are kept. */
const BUFFER_BYTES = 256 * 1024

/** One half of the memory of an intake. */
interface Buffer {
  readonly memory: Uint8Array
  /** Settles when the bytes are written, after which the buffer can be filled again. */
  writing: Promise<void> | undefined
}

/** Takes one range of a content, and writes it to the bytes ahead: one buffer is filled while the other one is written. */
export class AheadIntake implements Intake {
  readonly #ahead: BytesAhead
  readonly #end: number
  readonly #onAnswer: () => void
  readonly #onBytes: (count: number) => void
  /** The buffer that is being filled, and the other one. */
  #current: Buffer
  #other: Buffer
  /** Where in the content the current buffer begins. */
  #start: number
  #filledBytes = 0
  #failure: unknown

  constructor(
    ahead: BytesAhead,
    { start, end }: { readonly start: number; readonly end: number },
    {
      onAnswer,
      onBytes,
    }: {
      onAnswer: () => void
      /** Called with the number of bytes that have come; with 0 when some were written. */
      onBytes: (count: number) => void
    },
  ) {
    this.#ahead = ahead
    this.#start = start
    this.#end = end
    this.#onAnswer = onAnswer
    this.#onBytes = onBytes
    this.#current = newBuffer(end - start)
    this.#other = newBuffer(end - start - BUFFER_BYTES)
  }

  get position(): number {
    return this.#start + this.#filledBytes
  }

  /** Whether the disk has not taken all bytes of full buffers. */
  get isWriting(): boolean {
    return this.#current.writing !== undefined || this.#other.writing !== undefined
  }

  expect(): void {
    this.#onAnswer()
  }

  buffer(): Uint8Array {
    return this.#current.memory.subarray(this.#filledBytes, this.#end - this.#start)
  }

  nextBuffer(): Uint8Array | undefined {
    const rest = this.#end - this.#start - BUFFER_BYTES
    return rest <= 0 || this.#other.writing !== undefined ? undefined : this.#other.memory.subarray(0, rest)
  }

  filled(length: number): boolean {
    this.#filledBytes += length
    this.#onBytes(length)
    if (this.buffer().length > 0) return true
    this.#writeFirst(this.#filledBytes)
    return this.#current.writing === undefined && this.#failure === undefined
  }

  /** Writes what has come, as far as it is whole units, although the rest of the range will not come. */
  writeWholeUnits(): void {
    const bytes = this.#filledBytes - (this.#filledBytes % AHEAD_UNIT_BYTES)
    if (bytes > 0) this.#writeFirst(bytes)
  }

  async drained(): Promise<void> {
    await this.#current.writing
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Resolves when nothing is being written; rejects when something could not be. */
  async settled(): Promise<void> {
    await Promise.all([this.#current.writing, this.#other.writing])
    if (this.#failure !== undefined) throw this.#failure
  }

  #writeFirst(bytes: number): void {
    const full = this.#current
    full.writing = this.#write(full, full.memory.subarray(0, bytes), this.#start)
    this.#start += bytes
    this.#filledBytes = 0
    this.#current = this.#other
    this.#other = full
  }

  async #write(buffer: Buffer, bytes: Uint8Array, position: number): Promise<void> {
    try {
      await this.#ahead.write(bytes, position)
    } catch (error) {
      this.#failure = error
    }
    buffer.writing = undefined
    this.#onBytes(0)
  }
}

function newBuffer(mostBytes: number): Buffer {
  const bytes = Math.max(0, Math.min(BUFFER_BYTES, mostBytes))
  return { memory: new Uint8Array(new SharedArrayBuffer(bytes)), writing: undefined }
}
