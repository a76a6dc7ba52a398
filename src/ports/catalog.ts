import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'

export interface TagRecord {
  readonly digest: Digest
  readonly mediaType: string | undefined
  /** When upstream last confirmed it, in milliseconds since the epoch. */
  readonly checkedAt: number
}

/** What was last heard about something that may change (a list of tags, of referrers), kept for when upstream is away. */
export interface Heard {
  readonly body: Uint8Array
  readonly checkedAt: number
}

/** What this node remembers about names. Content is the blob store's; this only points at it. */
export interface Catalog {
  tag(repository: Repository, tag: string): Promise<TagRecord | undefined>
  rememberTag(repository: Repository, tag: string, record: TagRecord): Promise<void>
  forgetTag(repository: Repository, tag: string): Promise<void>
  /** `topic` is e.g. `tags` or `referrers/<digest>`. */
  heard(repository: Repository, topic: string): Promise<Heard | undefined>
  rememberHeard(repository: Repository, topic: string, heard: Heard): Promise<void>
  /** Upstream, or a peer that answers for it, has this digest in this repository. Forgotten when the store drops the digest. */
  rememberSeen(repository: Repository, digest: Digest): Promise<void>
  /** Those of them that were seen in this repository. */
  seen(repository: Repository, digests: readonly Digest[]): Promise<readonly Digest[]>
  /** Every repository seen, in ASCII order of `repositoryKey`. */
  repositories(): Promise<readonly Repository[]>
}
