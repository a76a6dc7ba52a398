import type { Algorithm, Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'

/** How much of an upload has come. */
export interface UploadState {
  /** Names the upload in URLs. Nobody can guess it. */
  readonly id: string
  /** How many bytes have come: the next byte has this offset. */
  readonly position: number
}

/**
 * One request that adds bytes to an upload. It lends memory to read into, as an `Intake` does. Bytes that have come stay
 * when the request ends early, and the next request continues after them.
 */
export interface UploadWriter {
  readonly position: number
  /** Memory for the next bytes, never empty. It stays the same until `filled`. */
  buffer(): Uint8Array
  /** Says that `length` bytes of `buffer()` hold content now. False: stop until `drained` resolves. */
  filled(length: number): boolean
  /** Resolves when there is room again; rejects with a `Failure` when no more bytes can be taken, as on a full disk. */
  drained(): Promise<void>
  /**
   * Ends the upload: the bytes become a blob of the repository, durable when the call resolves. Rejects with the `corrupt`
   * `Failure` when their digest is not `digest`. After that there is no upload any more, whether it was stored or not,
   * except if the failure is of the disk.
   */
  finish(digest: Digest): Promise<void>
  /**
   * Lets the next request write, once all bytes of this one are in the file. The caller always calls it, in a `finally` block.
   * Rejects with a `Failure` when the bytes could not be written and no earlier call has said so.
   */
  close(): Promise<void>
}

/** The blobs that clients are sending. Each survives a restart, and is removed when no byte has come for a day. */
export interface Uploads {
  /** Rejects with the `busy` `Failure` when there are too many, and with `disk` when the store has no room. */
  begin(repository: Repository, options: { readonly algorithm: Algorithm }): Promise<UploadState>
  /** Undefined: the repository has no such upload. */
  state(repository: Repository, id: string): Promise<UploadState | undefined>
  /**
   * Opens an upload for one request. `size`: how many bytes the request has, if that is known; room for them is reserved.
   * Undefined: there is no such upload. Rejects with the `busy` `Failure` while another request writes.
   */
  open(
    repository: Repository,
    id: string,
    options: { readonly size: number | undefined; readonly signal: AbortSignal },
  ): Promise<UploadWriter | undefined>
  /** False: there was no such upload. */
  cancel(repository: Repository, id: string): Promise<boolean>
}

/** A manifest as a client pushes it. */
export interface ManifestToPush {
  readonly bytes: Uint8Array
  readonly mediaType: string
  /** The digest that the client names, or else the one of its tag's manifest: computed by `algorithm`. */
  readonly digest: Digest | undefined
  readonly algorithm: Algorithm
  /** All of them refer to the manifest afterwards, at the same moment. */
  readonly tags: readonly string[]
}

export interface PushedManifest {
  readonly digest: Digest
  readonly subject: Digest | undefined
}

/** Why a manifest cannot be taken. */
export type ManifestRefusal =
  | { readonly kind: 'invalid'; readonly problem: string }
  | { readonly kind: 'wrong-digest'; readonly found: Digest }
  /** The repository lacks blobs or manifests that the manifest needs. */
  | { readonly kind: 'missing'; readonly missing: readonly Digest[] }

/**
 * Images of one's own. Clients push them into hosted repositories, which are never fetched from upstream. A content
 * belongs to each repository that it was pushed or mounted to, and is never evicted while it does.
 *
 * Whatever a method has done is durable when it resolves, also after a power cut. Each method rejects with a `Failure`
 * when the store cannot be used.
 */
export interface HostedRegistry {
  isHosted(repository: Repository): boolean
  readonly uploads: Uploads
  /**
   * Adds a stored blob of another repository, hosted or cached, to this one. False: `from` does not have it. The caller
   * has made sure that the client may pull from `from`.
   */
  mount(repository: Repository, digest: Digest, from: Repository): Promise<boolean>
  putManifest(
    repository: Repository,
    manifest: ManifestToPush,
  ): Promise<{ readonly pushed: PushedManifest } | { readonly refusal: ManifestRefusal }>
  /** Removes a tag and keeps its manifest. False: there is no such tag. */
  deleteTag(repository: Repository, tag: string): Promise<boolean>
  /** Removes a manifest from the repository, with all tags that refer to it. False: the repository does not have it. */
  deleteManifest(repository: Repository, digest: Digest): Promise<boolean>
  /** Removes a blob from the repository. False: the repository does not have it. */
  deleteBlob(repository: Repository, digest: Digest): Promise<boolean>
}
