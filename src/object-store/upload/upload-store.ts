import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { BlobFacts } from '../../ports/blob-store.ts'
import type { TagRecord } from '../../ports/catalog.ts'
import type { Content } from '../../ports/content.ts'

/** What uploads read of the store of this node. Nothing of it marks a content as used. */
export interface UploadStore {
  readonly blobs: { facts(digest: Digest): Promise<BlobFacts | undefined> }
  readonly catalog: { tag(repository: Repository, tag: string): Promise<TagRecord | undefined> }
  list(): AsyncIterable<BlobFacts>
  peek(digest: Digest): Promise<Content | undefined>
  repositoriesOf(digest: Digest): Promise<readonly Repository[]>
  /** All digests that a stored manifest references. */
  references(manifest: Digest): Promise<readonly Digest[]>
  /** The pins that protect a content. */
  pinsOf(digest: Digest): Promise<readonly Digest[]>
}

/** A content of a repository, or one of its tags, that is to be in the bucket. */
export type UploadJob =
  | {
      readonly is: 'content'
      readonly digest: Digest
      readonly kind: 'manifest' | 'blob'
      readonly repository: Repository
      /** Upstream has had it just now. False: it was found in the store. */
      readonly isConfirmed: boolean
    }
  | { readonly is: 'tag'; readonly repository: Repository; readonly tag: string }
