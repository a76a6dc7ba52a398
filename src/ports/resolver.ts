import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { Content } from './content.ts'
import type { SourceKind } from './source.ts'

/** How the cache got an answer. It becomes the `Cache-Status` header, a label of a metric and a line of `agent why`. */
export type CacheResult =
  | { readonly kind: 'hit' }
  /** A local source has it: the name of that source. */
  | { readonly kind: 'source'; readonly source: string }
  /**
   * `from`: the kind of source that has brought most of the bytes so far when the answer begins, or is asked first.
   * `collapsed`: the answer follows a transfer that another request has begun.
   */
  | { readonly kind: 'miss'; readonly from: SourceKind; readonly collapsed: boolean }
  /** The answer was older than its TTL, and upstream has just confirmed or replaced it. */
  | { readonly kind: 'revalidated' }
  /** The answer is older than its TTL and is served because upstream cannot be asked. */
  | { readonly kind: 'stale-if-error' }

export interface BlobAnswer {
  readonly content: Content
  readonly cacheResult: CacheResult
}

export interface ManifestAnswer {
  readonly digest: Digest
  readonly mediaType: string
  readonly size: number
  /** A small manifest is in memory. A large one is read from the store; the caller closes that content. */
  readonly body: Uint8Array | Content
  readonly cacheResult: CacheResult
}

export interface HeadAnswer {
  readonly size: number
  readonly mediaType: string | undefined
  readonly cacheResult: CacheResult
}

export interface BlobOptions {
  readonly signal: AbortSignal
  /** The client wants only ranges with an end, of which `Content.willRead` will tell: the rest may come later. */
  readonly isForParts?: boolean
}

/**
 * Answers every question that a client can ask about images: from the cache, or else from peers and upstream.
 * Each method rejects with a `Failure` when there is no answer.
 */
export interface Resolver {
  /** Gives a blob, and begins or joins its transfer when it is not stored. The caller closes the content. */
  blob(repository: Repository, digest: Digest, options: BlobOptions): Promise<BlobAnswer>
  /** Gives the size of a blob. Fetches nothing: for a blob that is not stored, upstream is asked with HEAD. */
  blobHead(repository: Repository, digest: Digest, options: { signal: AbortSignal }): Promise<HeadAnswer>
  /** Does for a manifest what `blobHead` does for a blob. */
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
  /** Lists all tags, in ASCII order. */
  tags(
    repository: Repository,
    options: { signal: AbortSignal },
  ): Promise<{ readonly tags: readonly string[]; readonly cacheResult: CacheResult }>
  /** Gives the JSON of an image index that lists every manifest whose subject is `subject`, unfiltered. */
  referrers(
    repository: Repository,
    subject: Digest,
    options: { signal: AbortSignal },
  ): Promise<{ readonly index: Uint8Array; readonly cacheResult: CacheResult }>
  /** Lists every repository that this node has served, in ASCII order. */
  repositories(): Promise<readonly Repository[]>
  /** Says whether this node's content of a repository may have been fetched with credentials of this agent. */
  isPrivate(repository: Repository): Promise<boolean>
}
