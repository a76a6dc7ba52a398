import type { Digest } from '../oci/digest.ts'
import type { Descriptor } from '../oci/manifest.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { Content } from './content.ts'
import type { Want } from './source.ts'

/** What a tag of a local source refers to. */
export interface LocalTag {
  readonly digest: Digest
  readonly mediaType: string | undefined
}

/** What tells an image from another one. */
export interface ImageIdentity {
  /** Of its manifest; undefined for an image of Docker that has none. */
  readonly manifest: Digest | undefined
  /** Of the configs of its platforms; none if they are not known. */
  readonly configs: readonly Digest[]
}

/**
 * Images that are on this machine already, outside of the store: in a Docker daemon, an OCI layout, or a folder that
 * skopeo has written. A local source is asked after the store, and before peers and upstream.
 *
 * Every method rejects with a `Failure` when the source cannot be read now. What a source does not have is undefined or
 * empty. A source forgets nothing and remembers nothing for its callers: each answer is what it has at this moment.
 */
export interface LocalSource {
  /** Shown to users, such as `oci /srv/images`. */
  readonly name: string
  /** Says whether the images of a repository may come from this source only. */
  isExclusive(repository: Repository): boolean
  tag(repository: Repository, tag: string, options: { signal: AbortSignal }): Promise<LocalTag | undefined>
  /** Says which image `tag` would give, and stores nothing for it. */
  identify(
    repository: Repository,
    tag: string,
    options: { signal: AbortSignal },
  ): Promise<ImageIdentity | undefined>
  /** Lists the tags of a repository, in no order. */
  tags(repository: Repository, options: { signal: AbortSignal }): Promise<readonly string[]>
  /**
   * Opens a content that an image of the repository consists of. Its last bytes are readable only when all of it has the
   * right digest. The caller closes the content.
   */
  open(want: Want, options: { signal: AbortSignal }): Promise<Content | undefined>
  /** Describes the manifests of a repository whose subject is `subject`. */
  referrers(
    repository: Repository,
    subject: Digest,
    options: { signal: AbortSignal },
  ): Promise<readonly Descriptor[]>
  /** Lists every repository that has an image, in no order. */
  repositories(options: { signal: AbortSignal }): Promise<readonly Repository[]>
  /** What the source has failed to do lately although it can be read; a sentence. */
  problem?(): string | undefined
  close(): Promise<void>
}
