import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { Source, Want } from './source.ts'

/** What upstream says a tag is now. */
export interface TagHead {
  readonly digest: Digest
  readonly mediaType: string | undefined
  readonly size: number | undefined
  /** How long ago upstream has said so to somebody else, in milliseconds. Left out: just now, to this node. */
  readonly ageMs?: number
}

export interface TagAsking {
  readonly signal: AbortSignal
  /** Of upstream itself, not of others who have asked it. */
  readonly isFirsthand?: boolean | undefined
}

/** What only upstream can tell: everything about an image that may change, and who can bring its bytes. */
export interface Registry {
  /** Who can bring this, best first. Empty when nobody is configured for it. */
  sources(want: Want): readonly Source[]
  /** Asked with HEAD, so that it costs no quota. Throws a `Failure`; `absent` when upstream knows no such tag. */
  tag(repository: Repository, tag: string, options: TagAsking): Promise<TagHead>
  /** Size and type of something that is not here, with HEAD. */
  head(want: Want, options: { signal: AbortSignal }): Promise<{ size: number; mediaType: string | undefined }>
  /** Every tag upstream has, in ASCII order. */
  tags(repository: Repository, options: { signal: AbortSignal }): Promise<readonly string[]>
  /** Upstream's image index of what refers to `subject`, from its API or the fallback tag; empty index when there is none. */
  referrers(repository: Repository, subject: Digest, options: { signal: AbortSignal }): Promise<Uint8Array>
  /** Whether credentials of this agent's own would be used for it. No registry or credential helper is asked. */
  isPrivate(repository: Repository): Promise<boolean>
  /** How long this repository's tags are taken as fresh, and how long after that they still serve when upstream fails. */
  freshness(repository: Repository): { tagTtlMs: number; staleIfErrorMs: number }
}
