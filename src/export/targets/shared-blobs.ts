import type { Digest } from '../../oci/digest.ts'
import type { BlobPart } from './target.ts'
import { linkFile, sizeOfFile, writeBlobFile } from './whole-file.ts'

/** Blobs that several images have, each in the folder of every one of them. The file is written once, and then linked. */
export class SharedBlobs {
  readonly #paths = new Map<Digest, string>()

  /** Remembers a file that is there already. */
  know(digest: Digest, path: string): void {
    if (!this.#paths.has(digest)) this.#paths.set(digest, path)
  }

  /** Whether the blob is at `path`; links it there if it is in another folder. */
  async provide(path: string, { digest, size }: BlobPart): Promise<boolean> {
    if ((await sizeOfFile(path)) === size) {
      this.know(digest, path)
      return true
    }
    const other = this.#paths.get(digest)
    if (other === undefined || other === path || (await sizeOfFile(other)) !== size) return false
    await linkFile(other, path)
    return true
  }

  async add(path: string, blob: BlobPart, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    await writeBlobFile(path, blob, chunks)
    this.#paths.set(blob.digest, path)
  }
}
