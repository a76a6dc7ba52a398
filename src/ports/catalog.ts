import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'

export interface TagRecord {
  readonly digest: Digest
  readonly mediaType: string | undefined
  /** When upstream last confirmed the tag, or an import set it, in milliseconds since the epoch. */
  readonly checkedAt: number
  /** When an import set the tag to this digest. Equal to `checkedAt` until upstream has confirmed it. */
  readonly importedAt?: number
}

/** The last answer of upstream to a question whose answer may change: a list of tags, or of referrers. */
export interface CachedList {
  readonly body: Uint8Array
  /** When upstream gave the answer, or an import added to the list, in milliseconds since the epoch. */
  readonly checkedAt: number
}

/** The topic of what imports add to the list about a topic. */
export function importedTopic(topic: string): string {
  return `imported/${topic}`
}

/** What this node remembers about names. The content itself is in the blob store; the catalog only refers to it. */
export interface Catalog {
  tag(repository: Repository, tag: string): Promise<TagRecord | undefined>
  rememberTag(repository: Repository, tag: string, record: TagRecord): Promise<void>
  forgetTag(repository: Repository, tag: string): Promise<void>
  /** Gives the list about a topic, which is `tags` or `referrers/<digest>`, or the imported topic of one of these. */
  cachedList(repository: Repository, topic: string): Promise<CachedList | undefined>
  rememberList(repository: Repository, topic: string, list: CachedList): Promise<void>
  /**
   * Remembers a known name: upstream, or a peer that answers for it, has this digest in this repository. The catalog
   * forgets it when the store drops the digest.
   */
  rememberKnownName(repository: Repository, digest: Digest): Promise<void>
  /** Gives those of `digests` that are known names in this repository. */
  filterKnown(repository: Repository, digests: readonly Digest[]): Promise<readonly Digest[]>
  /** Remembers that what is stored of the repository was read with credentials of this agent. */
  rememberCredentialed(repository: Repository): Promise<void>
  forgetCredentialed(repository: Repository): Promise<void>
  /** Lists the repositories that were read with credentials, in ASCII order of `repositoryKey`. */
  credentialed(): Promise<readonly Repository[]>
  /** Lists every repository that has a known name, in ASCII order of `repositoryKey`. */
  repositories(): Promise<readonly Repository[]>
}
