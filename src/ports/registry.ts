import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { Source, Want } from './source.ts'

/** What upstream says about a tag. */
export interface TagHead {
  readonly digest: Digest
  readonly mediaType: string | undefined
  readonly size: number | undefined
  /** How long ago upstream has said it to another member. Undefined: upstream has said it now, to this node. */
  readonly ageMs?: number
}

export interface TagRequestOptions {
  readonly signal: AbortSignal
  /** Upstream itself is asked, and no member that may have its answer. */
  readonly isUpstreamOnly?: boolean | undefined
}

export interface HeadRequestOptions {
  readonly signal: AbortSignal
  /**
   * Upstream itself is asked, without credentials, and no object store that may have what is asked for: what the answer
   * says, everybody may know.
   */
  readonly isAnonymous?: boolean | undefined
}

/** What only upstream knows: everything about an image that may change, and which sources can bring its bytes. */
export interface Registry {
  /** Lists the sources of a content, best first. Empty when no upstream is configured for its repository. */
  sources(want: Want): readonly Source[]
  /**
   * Asks what a tag refers to, with HEAD, which Docker Hub does not count against its rate limit. Rejects with a
   * `Failure`, whose code is `absent` when upstream has no such tag.
   */
  tag(repository: Repository, tag: string, options: TagRequestOptions): Promise<TagHead>
  /** Asks for the size and type of a content, with HEAD. */
  head(want: Want, options: HeadRequestOptions): Promise<{ size: number; mediaType: string | undefined }>
  /** Lists every tag that upstream has, in ASCII order. */
  tags(repository: Repository, options: HeadRequestOptions): Promise<readonly string[]>
  /**
   * Gives upstream's image index of the manifests whose subject is `subject`, from the referrers API or the fallback tag.
   * The index is empty when there are none.
   */
  referrers(repository: Repository, subject: Digest, options: HeadRequestOptions): Promise<Uint8Array>
  /** Says whether this agent would use credentials for the repository. Asks no registry and no credential helper. */
  isPrivate(repository: Repository): Promise<boolean>
  /** As `isPrivate`, but a file of credentials that is not there at the start contains none. */
  hasCredentials(repository: Repository): Promise<boolean>
  /** Gives how long an answer about a tag is fresh, and for how long after that it may be used while upstream fails. */
  freshness(repository: Repository): { tagTtlMs: number; staleIfErrorMs: number }
}
