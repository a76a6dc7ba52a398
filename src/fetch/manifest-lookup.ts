import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { ManifestAnswer } from '../ports/resolver.ts'
import type { Want } from '../ports/source.ts'
import type { ContentLookup } from './content-lookup.ts'
import type { KnownNames } from './known-names/known-names.ts'
import { isLargeManifest, type LargeManifests } from './manifests/large-manifests.ts'
import { type Manifest, ManifestMemory } from './manifests/manifest-memory.ts'
import { readManifest } from './manifests/manifest-reading.ts'

export interface ManifestLookupOptions {
  readonly store: BlobStore
  readonly contents: ContentLookup
  readonly knownNames: KnownNames
  readonly largeManifests: LargeManifests
  readonly manifestMemoryBytes: number
}

/** Finds manifests by their digest: in memory, or else as any content. */
export class ManifestLookup {
  readonly #store: BlobStore
  readonly #contents: ContentLookup
  readonly #knownNames: KnownNames
  readonly #largeManifests: LargeManifests
  readonly #memory: ManifestMemory
  /** Grows with each content that the store has dropped. */
  #droppedCount = 0

  constructor({ store, contents, knownNames, largeManifests, manifestMemoryBytes }: ManifestLookupOptions) {
    this.#store = store
    this.#contents = contents
    this.#knownNames = knownNames
    this.#largeManifests = largeManifests
    this.#memory = new ManifestMemory(manifestMemoryBytes)
  }

  find(repository: Repository, digest: Digest, options: { signal: AbortSignal }): Promise<ManifestAnswer> {
    const manifest = this.#memory.get(digest)
    const want: Want = { kind: 'manifest', repository, digest }
    return manifest === undefined ? this.#read(want, options) : this.#answer(manifest, want, options)
  }

  /** The store has dropped the content: it is no longer served from memory either. */
  forget(digest: Digest): void {
    this.#droppedCount += 1
    this.#memory.drop(digest)
  }

  async #answer(
    { digest, mediaType, bytes }: Manifest,
    want: Want,
    options: { signal: AbortSignal },
  ): Promise<ManifestAnswer> {
    if (!this.#knownNames.isCached(want.repository, digest)) await this.#knownNames.check(want, options)
    this.#store.touch(digest)
    return { digest, mediaType, size: bytes.length, body: bytes, cacheResult: { kind: 'hit' } }
  }

  async #read(want: Want, options: { signal: AbortSignal }): Promise<ManifestAnswer> {
    const { digest } = want
    const droppedBefore = this.#droppedCount
    const { content, cacheResult } = await this.#contents.open(want, options)
    const { size } = content
    let isGiven = false
    try {
      if (isLargeManifest(size)) {
        const mediaType = content.mediaType ?? (await this.#largeManifests.readMediaType(content, options))
        isGiven = true
        return { digest, mediaType, size, body: content, cacheResult }
      }
      const manifest = await readManifest(content, options)
      // A manifest that the store has dropped while it was read must not come back from memory.
      if (droppedBefore === this.#droppedCount) this.#memory.put(manifest)
      const { mediaType, bytes } = manifest
      return { digest, mediaType, size, body: bytes, cacheResult }
    } finally {
      if (!isGiven) await content.close()
    }
  }
}
