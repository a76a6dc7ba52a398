import type { BytesAhead } from '../../../ports/blob-store.ts'
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
    /** Called with the number of bytes that have come; with 0 when some were written. */
    { onBytes }: { onBytes: (count: number) => void },
  ) {
    this.#ahead = ahead
    this.#start = start
    this.#end = end
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

  expect(): void {}

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
    const full = this.#current
    full.writing = this.#write(full, full.memory.subarray(0, this.#filledBytes), this.#start)
    this.#start += this.#filledBytes
    this.#filledBytes = 0
    this.#current = this.#other
    this.#other = full
    return this.#current.writing === undefined && this.#failure === undefined
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
