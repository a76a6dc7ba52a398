import type { Digest } from '../../oci/digest.ts'

interface Read {
  count: number
  readonly size: number
}

/** Stored blobs that somebody has open. */
export class Readers {
  readonly #read = new Map<Digest, Read>()

  has(digest: Digest): boolean {
    return this.#read.has(digest)
  }

  /** Each once. */
  list(): { readonly digest: Digest; readonly size: number }[] {
    return [...this.#read].map(([digest, { size }]) => ({ digest, size }))
  }

  /** Gives what ends it again; once is enough. */
  enter(digest: Digest, size: number): () => void {
    const read = this.#read.get(digest) ?? { count: 0, size }
    this.#read.set(digest, read)
    read.count += 1
    let isIn = true
    return () => {
      if (!isIn) return
      isIn = false
      read.count -= 1
      if (read.count === 0) this.#read.delete(digest)
    }
  }
}
