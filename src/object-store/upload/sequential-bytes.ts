import type { Digest } from '../../oci/digest.ts'
import { Failure } from '../../ports/failure.ts'
import type { UploadBytes } from './content-upload.ts'

/** Bytes that arrive once and in order, as those of an upload. */
export class SequentialBytes implements UploadBytes {
  readonly digest: Digest
  readonly size: number
  readonly #chunks: AsyncIterator<Uint8Array>
  #left: Uint8Array = new Uint8Array(0)
  #read = 0

  constructor({ digest, size }: { digest: Digest; size: number }, chunks: AsyncIterable<Uint8Array>) {
    this.digest = digest
    this.size = size
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  readable(): number {
    return this.size
  }

  async read(target: Uint8Array): Promise<number> {
    while (this.#left.length === 0) {
      const next = await this.#chunks.next()
      if (next.done === true) throw new Failure('unavailable', `${this.digest} ends too early.`)
      this.#left = next.value
    }
    const count = Math.min(target.length, this.#left.length)
    target.set(this.#left.subarray(0, count))
    this.#left = this.#left.subarray(count)
    this.#read += count
    return count
  }

  /** Ends what brings the bytes. When all were read it ends by itself. */
  async close(): Promise<void> {
    if (this.#read === this.size) await this.#chunks.next()
    await this.#chunks.return?.()
  }
}
