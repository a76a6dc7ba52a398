import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { Content } from './content.ts'

/** Where an answer came from; becomes `Cache-Status`, a metric and a line in `agent why`. */
export type How =
  | { readonly kind: 'hit' }
  /** `from`: who has brought most of what is here when the answer begins, or is asked, while nothing is. */
  | { readonly kind: 'miss'; readonly from: 'upstream' | 'peer'; readonly collapsed: boolean }
  /** A tag older than its TTL that upstream has confirmed, or moved, just now. */
  | { readonly kind: 'revalidated' }
  /** A tag older than its TTL, served because upstream cannot be asked. */
  | { readonly kind: 'stale-if-error' }

export interface BlobAnswer {
  readonly content: Content
  readonly how: How
}

export interface ManifestAnswer {
  readonly digest: Digest
  readonly mediaType: string
  readonly size: number
  /** Small manifests are in memory. A large one is read where it is stored, and closed by whoever is given it. */
  readonly body: Uint8Array | Content
  readonly how: How
}

export interface HeadAnswer {
  readonly size: number
  readonly mediaType: string | undefined
  readonly how: How
}

/** Everything a client can ask about images. Throws `Failure`s. */
export interface Resolver {
  blob(repository: Repository, digest: Digest, options: { signal: AbortSignal }): Promise<BlobAnswer>
  /** As `blob`, but fetches nothing: upstream is only asked about it. */
  blobHead(repository: Repository, digest: Digest, options: { signal: AbortSignal }): Promise<HeadAnswer>
  /** As `blobHead`, of a manifest. */
  manifestHead(repository: Repository, digest: Digest, options: { signal: AbortSignal }): Promise<HeadAnswer>
  manifestByDigest(
    repository: Repository,
    digest: Digest,
    options: { signal: AbortSignal },
  ): Promise<ManifestAnswer>
  manifestByTag(
    repository: Repository,
    tag: string,
    options: { signal: AbortSignal },
  ): Promise<ManifestAnswer>
  /** All tags, in ASCII order. */
  tags(
    repository: Repository,
    options: { signal: AbortSignal },
  ): Promise<{ readonly tags: readonly string[]; readonly how: How }>
  /** The image index of what refers to `subject`, unfiltered, as bytes of JSON. */
  referrers(
    repository: Repository,
    subject: Digest,
    options: { signal: AbortSignal },
  ): Promise<{ readonly index: Uint8Array; readonly how: How }>
  /** Every repository this node has served, in ASCII order. */
  repositories(): Promise<readonly Repository[]>
  /** Whether what this agent has of a repository may have been got with credentials of its own. */
  isPrivate(repository: Repository): Promise<boolean>
}
