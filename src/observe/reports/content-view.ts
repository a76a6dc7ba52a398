import type { Digest } from '../../oci/digest.ts'
import { MAX_MANIFEST_BYTES } from '../../oci/manifest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { hasAny } from './subject.ts'
import type { BlobView, ContentView, TagView } from './view.ts'

/** The part of a store that reports read. */
export interface ReadableStore {
  readonly blobs: {
    facts(digest: Digest): Promise<BlobView | undefined>
  }
  /** Opens a blob for reading without marking it as used. */
  peek(digest: Digest): Promise<
    | {
        readonly size: number
        read(target: Uint8Array, position: number): Promise<number>
        close(): Promise<void>
      }
    | undefined
  >
  references(manifest: Digest): Promise<readonly Digest[]>
  pins(): AsyncIterable<{
    readonly digest: Digest
    readonly pinnedAt: number
    readonly names: readonly string[]
  }>
  readonly hosted: { readonly catalog: { links(repository: Repository): AsyncIterable<unknown> } }
  list(): AsyncIterable<BlobView>
  tags(): AsyncIterable<TagView>
}

export function contentViewOf(store: ReadableStore): ContentView {
  return {
    facts: (digest) => store.blobs.facts(digest),
    references: (manifest) => store.references(manifest),
    pins: () => store.pins(),
    blobs: () => store.list(),
    tags: () => store.tags(),
    isHosted: (repository) => hasAny(store.hosted.catalog.links(repository)),
    async manifest(digest) {
      const facts = await store.blobs.facts(digest)
      if (facts === undefined || facts.kind !== 'manifest' || facts.size > MAX_MANIFEST_BYTES)
        return undefined
      const content = await store.peek(digest)
      if (content === undefined) return undefined
      try {
        const bytes = new Uint8Array(Math.min(content.size, MAX_MANIFEST_BYTES))
        let filled = 0
        while (filled < bytes.length) {
          const read = await content.read(bytes.subarray(filled), filled)
          if (read === 0) return undefined
          filled += read
        }
        return bytes
      } finally {
        await content.close()
      }
    },
  }
}
