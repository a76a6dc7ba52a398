import { readManifestBody } from '../../fetch/manifests/manifest-body.ts'
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey, sortedRepositories } from '../../oci/names/repository.ts'
import type { Catalog } from '../../ports/catalog.ts'
import { Failure } from '../../ports/failure.ts'
import { HOSTED_STALE_MS, type HostedBucket } from '../../ports/hosted/hosted-bucket.ts'
import type {
  BlobAnswer,
  BlobOptions,
  CacheResult,
  HeadAnswer,
  ManifestAnswer,
  Resolver,
} from '../../ports/resolver.ts'
import { describeReferrer, indexOfReferrers, type ReferrerDescriptor } from '../manifests/referrers-index.ts'
import { type CheckedContents, isBucketAway } from './checked-contents.ts'

type Options = { readonly signal: AbortSignal }

export interface BucketResolverOptions {
  readonly bucket: HostedBucket
  readonly checked: CheckedContents
  readonly catalog: Pick<Catalog, 'tag' | 'rememberTag' | 'forgetTag'>
  readonly isHosted: (repository: Repository) => boolean
  /** Whether there may be hosted repositories of a registry. */
  readonly hasHosted: (registry: string) => boolean
}

const CONFIRMED: CacheResult = { kind: 'revalidated' }
/** That the bucket has confirmed a tag is written at most so often. */
const REMEMBER_MS = 5 * 60 * 1000

/**
 * Answers for the hosted repositories that are in a bucket: the bucket says what tags refer to and which contents there are, and the
 * next resolver brings them, from the store, from peers or from the bucket.
 */
export class BucketResolver implements Resolver {
  readonly #options: BucketResolverOptions
  readonly #next: Resolver

  constructor(options: BucketResolverOptions, next: Resolver) {
    this.#options = options
    this.#next = next
  }

  async blob(repository: Repository, digest: Digest, options: BlobOptions): Promise<BlobAnswer> {
    await this.#check(repository, 'blob', digest, options)
    return this.#next.blob(repository, digest, options)
  }

  async blobHead(repository: Repository, digest: Digest, options: Options): Promise<HeadAnswer> {
    await this.#check(repository, 'blob', digest, options)
    return this.#next.blobHead(repository, digest, options)
  }

  async manifestHead(repository: Repository, digest: Digest, options: Options): Promise<HeadAnswer> {
    await this.#check(repository, 'manifest', digest, options)
    return this.#next.manifestHead(repository, digest, options)
  }

  async manifestByDigest(repository: Repository, digest: Digest, options: Options): Promise<ManifestAnswer> {
    await this.#check(repository, 'manifest', digest, options)
    return this.#next.manifestByDigest(repository, digest, options)
  }

  async manifestByTag(repository: Repository, tag: string, options: Options): Promise<ManifestAnswer> {
    if (!this.#isHosted(repository)) return this.#next.manifestByTag(repository, tag, options)
    const { digest, isStale } = await this.#tag(repository, tag, options)
    // An interrupted removal of the manifest may have left the tag.
    if (!isStale) await this.#check(repository, 'manifest', digest, options)
    const answer = await this.#next.manifestByDigest(repository, digest, options)
    if (isStale) return { ...answer, cacheResult: { kind: 'stale-if-error' } }
    await this.#remember(repository, tag, answer)
    return answer
  }

  async tags(
    repository: Repository,
    options: Options,
  ): Promise<{ readonly tags: readonly string[]; readonly cacheResult: CacheResult }> {
    if (!this.#isHosted(repository)) return this.#next.tags(repository, options)
    const tags = await this.#options.bucket.tags(repository, options)
    if (tags === undefined) throw new Failure('absent', `there is no repository ${repositoryKey(repository)}`)
    return { tags, cacheResult: CONFIRMED }
  }

  async referrers(
    repository: Repository,
    subject: Digest,
    options: Options,
  ): Promise<{ readonly index: Uint8Array; readonly cacheResult: CacheResult }> {
    if (!this.#isHosted(repository)) return this.#next.referrers(repository, subject, options)
    const digests = await this.#options.bucket.referrers(repository, subject, options)
    const index = await indexOfReferrers(digests, (digest) => this.#describe(repository, digest, options))
    return { index, cacheResult: CONFIRMED }
  }

  async repositories(): Promise<readonly Repository[]> {
    const { bucket, hasHosted, isHosted } = this.#options
    const { signal } = new AbortController()
    const cached = await this.#next.repositories()
    const hosted = await bucket.repositories(hasHosted, { signal })
    return sortedRepositories([...cached.filter((one) => !isHosted(one)), ...hosted.filter(isHosted)])
  }

  isPrivate(repository: Repository): Promise<boolean> {
    return this.#isHosted(repository) ? Promise.resolve(false) : this.#next.isPrivate(repository)
  }

  #isHosted(repository: Repository): boolean {
    return this.#options.isHosted(repository)
  }

  async #check(
    repository: Repository,
    kind: 'manifest' | 'blob',
    digest: Digest,
    options: Options,
  ): Promise<void> {
    if (this.#isHosted(repository)) await this.#options.checked.check({ repository, kind, digest }, options)
  }

  /** Asks the bucket for each request: a tag that another node has moved is moved for all. */
  async #tag(
    repository: Repository,
    tag: string,
    options: Options,
  ): Promise<{ readonly digest: Digest; readonly isStale: boolean }> {
    const { bucket, catalog } = this.#options
    let digest: Digest | undefined
    try {
      digest = await bucket.tag(repository, tag, options)
    } catch (error) {
      const known = isBucketAway(error) ? await catalog.tag(repository, tag) : undefined
      if (known === undefined || Date.now() - known.checkedAt > HOSTED_STALE_MS) throw error
      return { digest: known.digest, isStale: true }
    }
    if (digest === undefined) {
      await catalog.forgetTag(repository, tag).catch(() => {})
      throw new Failure('absent', `there is no tag ${tag} in ${repositoryKey(repository)}`)
    }
    return { digest, isStale: false }
  }

  /** For the time when the bucket cannot be asked. A full disk remembers nothing. */
  async #remember(
    repository: Repository,
    tag: string,
    { digest, mediaType }: Pick<ManifestAnswer, 'digest' | 'mediaType'>,
  ): Promise<void> {
    const { catalog } = this.#options
    const known = await catalog.tag(repository, tag)
    const checkedAt = Date.now()
    if (known?.digest === digest && Math.abs(checkedAt - known.checkedAt) < REMEMBER_MS) return
    await catalog.rememberTag(repository, tag, { digest, mediaType, checkedAt }).catch(() => {})
  }

  /** Undefined: it was removed. */
  async #describe(
    repository: Repository,
    digest: Digest,
    options: Options,
  ): Promise<ReferrerDescriptor | undefined> {
    options.signal.throwIfAborted()
    try {
      const answer = await this.manifestByDigest(repository, digest, options)
      return describeReferrer(digest, answer.mediaType, await readManifestBody(answer, options))
    } catch (error) {
      if (error instanceof Failure && error.code === 'absent') return undefined
      throw error
    }
  }
}
