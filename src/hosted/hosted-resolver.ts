import { readManifestBody } from '../fetch/manifests/manifest-body.ts'
import { BoundedMap } from '../lib/bounded-map.ts'
import type { Digest } from '../oci/digest.ts'
import { type Repository, repositoryKey, sortedRepositories } from '../oci/names/repository.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import { Failure } from '../ports/failure.ts'
import type { HostedCatalog, HostedLink } from '../ports/hosted/hosted-catalog.ts'
import type {
  BlobAnswer,
  BlobOptions,
  CacheResult,
  HeadAnswer,
  ManifestAnswer,
  Resolver,
} from '../ports/resolver.ts'
import { PushedManifests } from './manifests/pushed-manifests.ts'
import { describeReferrer, indexOfReferrers, type ReferrerDescriptor } from './manifests/referrers-index.ts'
import type { YoungLinks } from './young-links.ts'

type Options = { readonly signal: AbortSignal }

interface HostedResolverOptions {
  readonly store: Pick<BlobStore, 'open' | 'facts' | 'touch'>
  readonly referrersOf: (subject: Digest) => Promise<readonly Digest[]>
  readonly catalog: HostedCatalog
  readonly isHosted: (repository: Repository) => boolean
  /** Keeps what a client was told to exist from being collected. */
  readonly youngLinks: YoungLinks
}

const HIT: CacheResult = { kind: 'hit' }
/** When a tag was pulled is written at most once in five minutes. */
const PULL_MARK_MS = 5 * 60 * 1000
const PULL_MARKS = 4096

/** Answers for hosted repositories from their links alone; all other repositories are the next resolver's. */
export class HostedResolver implements Resolver {
  readonly #options: HostedResolverOptions
  readonly #next: Resolver
  readonly #manifests: PushedManifests
  readonly #pulls = new BoundedMap<string, true>(PULL_MARKS, { ttlMs: PULL_MARK_MS })

  constructor(options: HostedResolverOptions, next: Resolver) {
    this.#options = options
    this.#next = next
    this.#manifests = new PushedManifests(options.store)
  }

  async blob(repository: Repository, digest: Digest, options: BlobOptions): Promise<BlobAnswer> {
    if (!this.#isHosted(repository)) return this.#next.blob(repository, digest, options)
    await this.#link(repository, digest)
    const content = await this.#options.store.open(digest)
    if (content === undefined) throw absent(repository, digest)
    return { content, cacheResult: HIT }
  }

  async blobHead(repository: Repository, digest: Digest, options: Options): Promise<HeadAnswer> {
    if (!this.#isHosted(repository)) return this.#next.blobHead(repository, digest, options)
    return this.#head(repository, await this.#link(repository, digest))
  }

  async manifestHead(repository: Repository, digest: Digest, options: Options): Promise<HeadAnswer> {
    if (!this.#isHosted(repository)) return this.#next.manifestHead(repository, digest, options)
    return this.#head(repository, await this.#manifestLink(repository, digest))
  }

  async manifestByDigest(repository: Repository, digest: Digest, options: Options): Promise<ManifestAnswer> {
    if (!this.#isHosted(repository)) return this.#next.manifestByDigest(repository, digest, options)
    const link = await this.#manifestLink(repository, digest)
    await this.#renew(repository, link)
    return this.#manifest(repository, digest, link.mediaType, options)
  }

  async manifestByTag(repository: Repository, tag: string, options: Options): Promise<ManifestAnswer> {
    if (!this.#isHosted(repository)) return this.#next.manifestByTag(repository, tag, options)
    const digest = await this.#options.catalog.tagDigest(repository, tag)
    if (digest === undefined)
      throw new Failure('absent', `there is no tag ${tag} in ${repositoryKey(repository)}`)
    const { mediaType } = await this.#manifestLink(repository, digest)
    const answer = await this.#manifest(repository, digest, mediaType, options)
    this.#markPulled(repository, tag)
    return answer
  }

  async tags(
    repository: Repository,
    options: Options,
  ): Promise<{ readonly tags: readonly string[]; readonly cacheResult: CacheResult }> {
    if (!this.#isHosted(repository)) return this.#next.tags(repository, options)
    const tags = await this.#options.catalog.tagNames(repository)
    if (tags.length === 0 && !(await this.#exists(repository))) {
      throw new Failure('absent', `there is no repository ${repositoryKey(repository)}`)
    }
    return { tags, cacheResult: HIT }
  }

  async referrers(
    repository: Repository,
    subject: Digest,
    options: Options,
  ): Promise<{ readonly index: Uint8Array; readonly cacheResult: CacheResult }> {
    if (!this.#isHosted(repository)) return this.#next.referrers(repository, subject, options)
    const { referrersOf, catalog } = this.#options
    const digests = await catalog.filterLinked(repository, await referrersOf(subject))
    const index = await indexOfReferrers(digests, (digest) => this.#describe(repository, digest, options))
    return { index, cacheResult: HIT }
  }

  async repositories(): Promise<readonly Repository[]> {
    const [cached, hosted] = [await this.#next.repositories(), await this.#options.catalog.repositories()]
    const { isHosted } = this.#options
    return sortedRepositories([...cached.filter((one) => !isHosted(one)), ...hosted.filter(isHosted)])
  }

  isPrivate(repository: Repository): Promise<boolean> {
    return this.#isHosted(repository) ? Promise.resolve(false) : this.#next.isPrivate(repository)
  }

  #isHosted(repository: Repository): boolean {
    return this.#options.isHosted(repository)
  }

  async #exists(repository: Repository): Promise<boolean> {
    for await (const _ of this.#options.catalog.links(repository)) return true
    return false
  }

  async #link(repository: Repository, digest: Digest): Promise<HostedLink> {
    const link = await this.#options.catalog.link(repository, digest)
    if (link === undefined) throw absent(repository, digest)
    return link
  }

  async #manifestLink(repository: Repository, digest: Digest): Promise<HostedLink & { mediaType: string }> {
    const { mediaType, ...link } = await this.#link(repository, digest)
    if (mediaType === undefined) throw absent(repository, digest)
    return { ...link, mediaType }
  }

  async #head(repository: Repository, link: HostedLink): Promise<HeadAnswer> {
    await this.#renew(repository, link)
    const facts = await this.#options.store.facts(link.digest)
    if (facts === undefined) throw absent(repository, link.digest)
    return { size: facts.size, mediaType: link.mediaType, cacheResult: HIT }
  }

  async #renew(repository: Repository, link: HostedLink): Promise<void> {
    if (!(await this.#options.youngLinks.renew(repository, link))) throw absent(repository, link.digest)
  }

  async #manifest(
    repository: Repository,
    digest: Digest,
    mediaType: string,
    options: Options,
  ): Promise<ManifestAnswer> {
    const body = await this.#manifests.body(digest, mediaType, options)
    if (body === undefined) throw absent(repository, digest)
    const size = body instanceof Uint8Array ? body.length : body.size
    return { digest, mediaType, size, body, cacheResult: HIT }
  }

  async #describe(
    repository: Repository,
    digest: Digest,
    options: Options,
  ): Promise<ReferrerDescriptor | undefined> {
    options.signal.throwIfAborted()
    const link = await this.#options.catalog.link(repository, digest)
    if (link?.mediaType === undefined) return undefined
    const body = await this.#manifests.body(digest, link.mediaType, options)
    return body && describeReferrer(digest, link.mediaType, await readManifestBody({ body }, options))
  }

  #markPulled(repository: Repository, tag: string): void {
    const key = `${repositoryKey(repository)}:${tag}`
    if (this.#pulls.has(key)) return
    this.#pulls.set(key, true)
    // A pull that is not marked can only make a tag look older.
    void this.#options.catalog.markPulled(repository, tag).catch(() => this.#pulls.delete(key))
  }
}

function absent(repository: Repository, digest: Digest): Failure {
  return new Failure('absent', `${repositoryKey(repository)} does not have ${digest}`)
}
