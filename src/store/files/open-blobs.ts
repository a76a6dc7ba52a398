import type { Digest } from '../../oci/digest.ts'

interface OpenBlob {
  count: number
  readonly size: number
}

/** Counts how often each stored blob is open: an open blob is not evicted. */
export class OpenBlobs {
  readonly #open = new Map<Digest, OpenBlob>()

  has(digest: Digest): boolean {
    return this.#open.has(digest)
  }

  /** Lists each open blob once. */
  list(): { readonly digest: Digest; readonly size: number }[] {
    return [...this.#open].map(([digest, { size }]) => ({ digest, size }))
  }

  /** Returns a function that ends this use; further calls of it do nothing. */
  add(digest: Digest, size: number): () => void {
    const blob = this.#open.get(digest) ?? { count: 0, size }
    this.#open.set(digest, blob)
    blob.count += 1
    let isOpen = true
    return () => {
      if (!isOpen) return
      isOpen = false
      blob.count -= 1
      if (blob.count === 0) this.#open.delete(digest)
    }
  }
}
