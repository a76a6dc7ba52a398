import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { Content } from '../content.ts'

type Options = { readonly signal: AbortSignal }

/** How long a node goes on with what it knew of a tag last, while the bucket cannot be asked. */
export const HOSTED_STALE_MS = 7 * 24 * 60 * 60 * 1000

/** A content in a hosted repository. */
export interface HostedContent {
  readonly repository: Repository
  readonly kind: 'manifest' | 'blob'
  readonly digest: Digest
}

/** `renewed`: nobody had needed it for long, so it might have been removed just before it was made young. */
export type Presence = 'absent' | 'present' | 'renewed'

/**
 * The hosted repositories in a bucket that several agents share. What a method has written is there for all of them when it
 * resolves. Each method rejects with a `Failure` that names the bucket when the bucket cannot be used.
 */
export interface HostedBucket {
  /** Names the bucket for people. */
  readonly name: string
  /** The only registry of which it can have repositories; undefined: it can have those of any. */
  readonly registry: string | undefined
  /** Whether a repository has a content, with its bytes. What is there stays for a day at least, whatever refers to it. */
  presence(content: HostedContent, options: Options): Promise<Presence>
  /** Adds a blob: its bytes, unless they are there, and then its link. */
  addBlob(
    repository: Repository,
    blob: Pick<Content, 'digest' | 'size' | 'readable' | 'read'>,
    options: Options,
  ): Promise<void>
  /** Adds a blob whose bytes another repository has. False: the bytes are not there. */
  mountBlob(repository: Repository, digest: Digest, options: Options): Promise<boolean>
  /** Adds a manifest, which is among the referrers of its subject from then on. */
  addManifest(
    repository: Repository,
    manifest: { readonly digest: Digest; readonly bytes: Uint8Array; readonly subject: Digest | undefined },
    options: Options,
  ): Promise<void>
  /** Moves a tag to a manifest that was added, whatever it refers to. */
  setTag(repository: Repository, tag: string, digest: Digest, options: Options): Promise<void>
  /** Gives what a tag refers to now. */
  tag(repository: Repository, tag: string, options: Options): Promise<Digest | undefined>
  /** Lists all tags in ASCII order; undefined: there is no such repository. */
  tags(repository: Repository, options: Options): Promise<readonly string[] | undefined>
  /** Lists the digests that were pushed as referrers of a subject, in ASCII order. Some of them may be gone. */
  referrers(repository: Repository, subject: Digest, options: Options): Promise<readonly Digest[]>
  /** Lists the repositories of all registries for which `isWanted` is true, in no order. */
  repositories(isWanted: (registry: string) => boolean, options: Options): Promise<readonly Repository[]>
  /** False: there is no such tag. */
  removeTag(repository: Repository, tag: string, options: Options): Promise<boolean>
  /** Removes a blob from its repository; a manifest with all tags that refer to it. False: the repository does not have it. */
  remove(content: HostedContent, options: Options): Promise<boolean>
}
