import { isLargeManifest } from '../../fetch/manifests/large-manifests.ts'
import { readContent } from '../../fetch/manifests/manifest-body.ts'
import { ManifestMemory } from '../../fetch/manifests/manifest-memory.ts'
import type { Digest } from '../../oci/digest.ts'
import type { BlobStore } from '../../ports/blob-store.ts'
import type { ManifestAnswer } from '../../ports/resolver.ts'

/** Bounds the memory for pushed manifests that are requested often. */
const MEMORY_BYTES = 4 * 1024 * 1024

/**
 * Reads pushed manifests, and keeps small ones in memory. Bytes in memory were verified when they were stored; whoever asks for
 * them has found their link, so they need not be forgotten when the link goes.
 */
export class PushedManifests {
  readonly #store: Pick<BlobStore, 'open' | 'touch'>
  readonly #memory = new ManifestMemory(MEMORY_BYTES)

  constructor(store: Pick<BlobStore, 'open' | 'touch'>) {
    this.#store = store
  }

  /** Gives the body of an answer; undefined when the manifest is not stored. */
  async body(
    digest: Digest,
    mediaType: string,
    options: { signal: AbortSignal },
  ): Promise<ManifestAnswer['body'] | undefined> {
    const known = this.#memory.get(digest)
    if (known !== undefined) {
      this.#store.touch(digest)
      return known.bytes
    }
    const content = await this.#store.open(digest)
    // A larger manifest is sent from its file, as a blob is.
    if (content === undefined || isLargeManifest(content.size)) return content
    try {
      const bytes = await readContent(content, options)
      this.#memory.put({ digest, mediaType, bytes })
      return bytes
    } finally {
      await content.close()
    }
  }
}
