import type { Algorithm, Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { Incoming } from '../blob-store.ts'
import type { HostedCatalog, LinkToMake } from './hosted-catalog.ts'

/** The `origin` of a blob that a client has pushed. */
export const PUSHED = 'push'

/** An upload in the store, by its provisional digest. */
export interface StoredUpload {
  readonly digest: Digest
  readonly repository: Repository
}

/** The content of an upload while bytes can be added to it. */
export interface UploadContent {
  /** All bytes of it are in its file once `digest` has resolved. `commit` is not used. */
  readonly incoming: Incoming
  /**
   * Stores the bytes as a blob and links it, durably and in one batch; without a link the blob is cached content of the repository
   * of the upload. Rejects with `corrupt` if their digest is another one, and with `disk` if they cannot be stored.
   */
  publish(digest: Digest, link: LinkToMake | undefined, options: { signal: AbortSignal }): Promise<void>
}

/** The files of uploads. Each is there from `create` until it is published or removed, also after a restart. */
export interface UploadStore {
  /** Gives the uploads that the last run of the agent has left; a second call gives none. */
  takeLeft(): readonly StoredUpload[]
  create(repository: Repository, algorithm: Algorithm): Promise<StoredUpload>
  /** How many bytes are in the file, and when the last one came. Undefined: the upload is gone. */
  state(upload: StoredUpload): Promise<{ readonly size: number; readonly modifiedAt: number } | undefined>
  /** Undefined: the upload is gone. At most one content of it is open at a time. */
  open(upload: StoredUpload): Promise<UploadContent | undefined>
  /** Removes an upload that is not open. */
  remove(upload: StoredUpload): Promise<void>
}

/** A manifest with all that the index gets to know of it. */
export interface ManifestToStore {
  readonly bytes: Uint8Array
  readonly digest: Digest
  readonly references: readonly Digest[]
  readonly subject: Digest | undefined
  readonly mediaType: string
  readonly repository: Repository
  readonly tags: readonly string[]
}

/** What the store does for hosted repositories. */
export interface HostedStore {
  readonly catalog: HostedCatalog
  readonly uploads: UploadStore
  /** Links a content. Durable when the call resolves; false: it is not stored. */
  link(digest: Digest, link: LinkToMake): Promise<boolean>
  /** Stores a manifest, its link, its tags and its referrer entry in one batch. Durable when the call resolves. */
  putManifest(manifest: ManifestToStore): Promise<void>
}
