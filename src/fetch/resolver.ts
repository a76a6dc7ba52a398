import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { LocalContent } from '../ports/local-content.ts'
import type { Registry, TagHead, TagRequestOptions } from '../ports/registry.ts'
import type {
  BlobAnswer,
  BlobOptions,
  CacheResult,
  HeadAnswer,
  ManifestAnswer,
  Resolver,
} from '../ports/resolver.ts'
import { ContentLookup } from './content-lookup.ts'
import type { FlightPolicy } from './flight/flight-policy.ts'
import { Flights } from './flight/flights.ts'
import { type FreshnessPolicy, Revalidation } from './freshness.ts'
import { KnownNames } from './known-names/known-names.ts'
import { ListLookup } from './list-lookup.ts'
import { LocalContentLookup } from './local-content.ts'
import { ManifestLookup } from './manifest-lookup.ts'
import { LargeManifests } from './manifests/large-manifests.ts'
import { provenDigests } from './manifests/manifest-reading.ts'
import { TagLookup } from './tag-lookup.ts'

export interface CachingResolverOptions {
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly registry: Registry
  readonly flightPolicy: FlightPolicy
  readonly freshnessPolicy: FreshnessPolicy
  readonly manifestMemoryBytes: number
  readonly flightLimit: number
}

/** Constructs the lookups of the core and answers each question by one of them. */
export class CachingResolver implements Resolver {
  readonly flights: Flights
  readonly localContent: LocalContent
  readonly #catalog: Catalog
  readonly #registry: Registry
  readonly #knownNames: KnownNames
  readonly #contents: ContentLookup
  readonly #manifests: ManifestLookup
  readonly #tags: TagLookup
  readonly #lists: ListLookup

  constructor(options: CachingResolverOptions) {
    const { store, catalog, registry, flightPolicy, freshnessPolicy, manifestMemoryBytes, flightLimit } =
      options
    const { timeoutMs } = freshnessPolicy
    const knownNames = new KnownNames({ store, catalog, registry, timeoutMs })
    const largeManifests = new LargeManifests()
    const flights = new Flights({
      store,
      sources: (want) => registry.sources(want),
      policy: flightPolicy,
      confirm: (want) => knownNames.check(want),
      beforeReading: ({ repository }) => knownNames.beforeReading(repository),
      describe: async (want, incoming, declaredType) => {
        const description = await largeManifests.describe(want, incoming, declaredType)
        await knownNames.beforeStoring(want.repository)
        // A client that has the manifest asks for what it references, which must be known by then.
        knownNames.add(want.repository, [want.digest, ...provenDigests(description)])
        return description
      },
      limit: flightLimit,
    })
    const revalidation = new Revalidation(freshnessPolicy)
    const contents = new ContentLookup({ store, registry, flights, knownNames })
    const manifests = new ManifestLookup({ store, contents, knownNames, largeManifests, manifestMemoryBytes })
    this.flights = flights
    this.localContent = new LocalContentLookup(store, flights, knownNames)
    this.#catalog = catalog
    this.#registry = registry
    this.#knownNames = knownNames
    this.#contents = contents
    this.#manifests = manifests
    this.#tags = new TagLookup({ catalog, registry, manifests, knownNames, revalidation, timeoutMs })
    this.#lists = new ListLookup({ catalog, registry, knownNames, revalidation })
  }

  blob(repository: Repository, digest: Digest, options: BlobOptions): Promise<BlobAnswer> {
    return this.#contents.open({ kind: 'blob', repository, digest }, options)
  }

  blobHead(repository: Repository, digest: Digest, options: { signal: AbortSignal }): Promise<HeadAnswer> {
    return this.#contents.head({ kind: 'blob', repository, digest }, options)
  }

  manifestHead(
    repository: Repository,
    digest: Digest,
    options: { signal: AbortSignal },
  ): Promise<HeadAnswer> {
    return this.#contents.head({ kind: 'manifest', repository, digest }, options)
  }

  manifestByDigest(
    repository: Repository,
    digest: Digest,
    options: { signal: AbortSignal },
  ): Promise<ManifestAnswer> {
    return this.#manifests.find(repository, digest, options)
  }

  manifestByTag(
    repository: Repository,
    tag: string,
    options: { signal: AbortSignal },
  ): Promise<ManifestAnswer> {
    return this.#tags.manifest(repository, tag, options)
  }

  tagHead(repository: Repository, tag: string, options: TagRequestOptions): Promise<TagHead> {
    return this.#tags.head(repository, tag, options)
  }

  tags(
    repository: Repository,
    options: { signal: AbortSignal },
  ): Promise<{ readonly tags: readonly string[]; readonly cacheResult: CacheResult }> {
    return this.#lists.tags(repository, options)
  }

  referrers(
    repository: Repository,
    subject: Digest,
    options: { signal: AbortSignal },
  ): Promise<{ readonly index: Uint8Array; readonly cacheResult: CacheResult }> {
    return this.#lists.referrers(repository, subject, options)
  }

  repositories(): Promise<readonly Repository[]> {
    return this.#catalog.repositories()
  }

  /** What was private stays so for those who list names, until upstream gives it to everybody. */
  async isPrivate(repository: Repository): Promise<boolean> {
    return (await this.#registry.isPrivate(repository)) || this.#knownNames.isInDoubt(repository)
  }

  /** Says that the store has dropped a content: it is not served from memory any more, and under no name. */
  forget(digest: Digest): void {
    this.#manifests.forget(digest)
    this.#knownNames.forget(digest)
  }
}
