import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { BlobFacts, BlobStore } from '../../ports/blob-store.ts'
import type { Content } from '../../ports/content.ts'
import type { HostedStore } from '../../ports/hosted/hosted-store.ts'

/** The part of the store that a garbage collection uses. */
export interface GarbageStore {
  readonly blobs: Pick<BlobStore, 'facts' | 'referencingManifests'>
  readonly hosted: Pick<HostedStore, 'catalog'>
  /** Opens a blob for reading without marking it as used. */
  peek(digest: Digest): Promise<Content | undefined>
  list(): AsyncIterable<BlobFacts>
  references(manifest: Digest): Promise<readonly Digest[]>
  referrersOf(subject: Digest): Promise<readonly Digest[]>
  /** The repositories of the cache that have a content. */
  repositoriesOf(digest: Digest): Promise<readonly Repository[]>
  pins(): AsyncIterable<{ readonly digest: Digest }>
  pinsOf(digest: Digest): Promise<readonly Digest[]>
  /** False: the content is not stored, or must stay. */
  remove(digest: Digest): Promise<boolean>
}
