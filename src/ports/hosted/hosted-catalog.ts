import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'

/** Says that a content belongs to a hosted repository. */
export interface HostedLink {
  readonly digest: Digest
  readonly kind: 'manifest' | 'blob'
  /** The type under which a manifest was pushed; undefined for a blob. */
  readonly mediaType: string | undefined
  /** When the content was pushed or mounted, or a client was told that it is there; in milliseconds since the epoch. */
  readonly linkedAt: number
}

/** A link that is to be made now. */
export interface LinkToMake {
  readonly repository: Repository
  readonly kind: 'manifest' | 'blob'
  readonly mediaType: string | undefined
  /** They refer to the content from the same moment on. */
  readonly tags: readonly string[]
}

export interface HostedTag {
  readonly repository: Repository
  readonly tag: string
  readonly digest: Digest
  readonly mediaType: string | undefined
  /** Milliseconds since the epoch, as `pulledAt`. */
  readonly pushedAt: number
  /** Undefined: nobody has pulled the tag. */
  readonly pulledAt: number | undefined
}

/**
 * The links and tags of hosted repositories. They are apart from what the cache knows of names. A linked content is not
 * evicted; a link stays when its content has rotted, and counts again once that is stored again.
 */
export interface HostedCatalog {
  /** Gives a link whose content is stored. */
  link(repository: Repository, digest: Digest): Promise<HostedLink | undefined>
  /** Gives those of `digests` that are linked and stored. */
  filterLinked(repository: Repository, digests: readonly Digest[]): Promise<readonly Digest[]>
  /** Lists all links of a repository in the order of digests, also those whose content is not stored. */
  links(repository: Repository): AsyncIterable<HostedLink>
  /** Lists the hosted repositories to which a content belongs. */
  repositoriesOf(digest: Digest): Promise<readonly Repository[]>
  /** Lists all repositories that have links, in ASCII order of `repositoryKey`. */
  repositories(): Promise<readonly Repository[]>
  tag(repository: Repository, tag: string): Promise<HostedTag | undefined>
  /** Gives the digest to which a tag refers, from memory if it is asked for often. */
  tagDigest(repository: Repository, tag: string): Promise<Digest | undefined>
  /** Lists the tags of a repository in ASCII order. */
  tagNames(repository: Repository): Promise<readonly string[]>
  /** Lists the tags of one repository, or of all. */
  tags(repository?: Repository): AsyncIterable<HostedTag>
  /** Sets `linkedAt` to now, without a sync. False: there is no such link. */
  renewLink(repository: Repository, digest: Digest): Promise<boolean>
  /** Removes a link, and all tags of the repository that refer to its content. False: there is no such link. */
  removeLink(repository: Repository, digest: Digest): Promise<boolean>
  /** Removes a link to which no tag refers. False: there is no such link, or its `linkedAt` is after `before`. */
  removeOldLink(repository: Repository, digest: Digest, before: number): Promise<boolean>
  /** False: there is no such tag. */
  removeTag(repository: Repository, tag: string): Promise<boolean>
  /** Writes that a client has pulled a tag. Not synced. */
  markPulled(repository: Repository, tag: string): Promise<void>
}
