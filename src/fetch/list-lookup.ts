import type { Digest } from '../oci/digest.ts'
import { type Repository, repositoryKey } from '../oci/names/repository.ts'
import type { CachedList, Catalog } from '../ports/catalog.ts'
import type { Registry } from '../ports/registry.ts'
import type { CacheResult } from '../ports/resolver.ts'
import type { Revalidation } from './freshness.ts'
import type { KnownNames } from './known-names/known-names.ts'
import { listedManifests } from './manifests/manifest-reading.ts'

export interface ListLookupOptions {
  readonly catalog: Catalog
  readonly registry: Registry
  readonly knownNames: KnownNames
  readonly revalidation: Revalidation
}

/** Finds lists of tags and of referrers: from the catalog while they are fresh, and from upstream after that. */
export class ListLookup {
  readonly #catalog: Catalog
  readonly #registry: Registry
  readonly #knownNames: KnownNames
  readonly #revalidation: Revalidation

  constructor({ catalog, registry, knownNames, revalidation }: ListLookupOptions) {
    this.#catalog = catalog
    this.#registry = registry
    this.#knownNames = knownNames
    this.#revalidation = revalidation
  }

  async tags(
    repository: Repository,
    options: { signal: AbortSignal },
  ): Promise<{ readonly tags: readonly string[]; readonly cacheResult: CacheResult }> {
    const { body, cacheResult } = await this.#find(repository, 'tags', options, async (renewal) => {
      const tags = await this.#registry.tags(repository, renewal)
      return Buffer.from(tags.join('\n'))
    })
    const text = Buffer.from(body).toString()
    return { tags: text === '' ? [] : text.split('\n'), cacheResult }
  }

  async referrers(
    repository: Repository,
    subject: Digest,
    options: { signal: AbortSignal },
  ): Promise<{ readonly index: Uint8Array; readonly cacheResult: CacheResult }> {
    const { body, cacheResult } = await this.#find(repository, `referrers/${subject}`, options, (renewal) =>
      this.#registry.referrers(repository, subject, renewal),
    )
    this.#knownNames.add(repository, listedManifests(body))
    return { index: body, cacheResult }
  }

  async #find(
    repository: Repository,
    topic: string,
    options: { signal: AbortSignal },
    askUpstream: (options: { signal: AbortSignal }) => Promise<Uint8Array>,
  ): Promise<{ readonly body: Uint8Array; readonly cacheResult: CacheResult }> {
    const { value, cacheResult } = await this.#revalidation.get<CachedList>(
      {
        key: `${topic} ${repositoryKey(repository)}`,
        freshness: this.#registry.freshness(repository),
        load: async () =>
          (await this.#knownNames.isInDoubt(repository))
            ? undefined
            : this.#catalog.cachedList(repository, topic),
        askUpstream: async (renewal) => {
          await this.#knownNames.beforeReading(repository)
          const list: CachedList = { body: await askUpstream(renewal), checkedAt: Date.now() }
          // The client gets its answer although a full disk remembers nothing new.
          await this.#catalog.rememberList(repository, topic, list).catch(() => {})
          return list
        },
        forget: async () => {},
      },
      options,
    )
    return { body: value.body, cacheResult }
  }
}
