import type { Digest } from '../oci/digest.ts'
import { type Repository, repositoryKey } from '../oci/names/repository.ts'
import { addReferrers } from '../oci/referrers.ts'
import type { CachedList, Catalog } from '../ports/catalog.ts'
import type { HeadRequestOptions, Registry } from '../ports/registry.ts'
import type { CacheResult } from '../ports/resolver.ts'
import type { AnswerTimes, Revalidation } from './freshness.ts'
import { ImportedEntries } from './imported-entries.ts'
import type { KnownNames } from './known-names/known-names.ts'
import { listedManifests } from './manifests/manifest-reading.ts'

export interface ListLookupOptions {
  readonly catalog: Catalog
  readonly registry: Registry
  readonly knownNames: KnownNames
  readonly revalidation: Revalidation
}

interface ListRequest {
  readonly repository: Repository
  readonly topic: string
  /** A registry has an empty list of referrers for names that it does not know, too. */
  readonly isEmpty: (list: Uint8Array) => boolean
  /** When an import last added to the list; undefined: none has. */
  readonly importedAt: number | undefined
}

/**
 * Finds lists of tags and of referrers: from the catalog while they are fresh, and from upstream after that. What was
 * imported is listed beside what upstream lists, because a registry need not have it.
 */
export class ListLookup {
  readonly #catalog: Catalog
  readonly #registry: Registry
  readonly #knownNames: KnownNames
  readonly #revalidation: Revalidation
  readonly #imported: ImportedEntries

  constructor({ catalog, registry, knownNames, revalidation }: ListLookupOptions) {
    this.#catalog = catalog
    this.#registry = registry
    this.#knownNames = knownNames
    this.#revalidation = revalidation
    this.#imported = new ImportedEntries(catalog)
  }

  async tags(
    repository: Repository,
    options: { signal: AbortSignal },
  ): Promise<{ readonly tags: readonly string[]; readonly cacheResult: CacheResult }> {
    const imported = await this.#imported.tags(repository)
    const isEmpty = ({ length }: Uint8Array): boolean => length === 0
    const request = { repository, topic: 'tags', isEmpty, importedAt: imported?.importedAt }
    const { body, cacheResult } = await this.#find(request, options, async (renewal) => {
      const tags = await this.#registry.tags(repository, renewal)
      return Buffer.from(tags.join('\n'))
    })
    const text = Buffer.from(body).toString()
    const tags = text === '' ? [] : text.split('\n')
    if (imported === undefined) return { tags, cacheResult }
    return { tags: [...new Set([...tags, ...imported.entries])].sort(), cacheResult }
  }

  async referrers(
    repository: Repository,
    subject: Digest,
    options: { signal: AbortSignal },
  ): Promise<{ readonly index: Uint8Array; readonly cacheResult: CacheResult }> {
    const imported = await this.#imported.referrers(repository, subject)
    const isEmpty = (list: Uint8Array): boolean => listedManifests(list).length === 0
    const topic = `referrers/${subject}`
    const request = { repository, topic, isEmpty, importedAt: imported?.importedAt }
    const { body, cacheResult } = await this.#find(request, options, (renewal) =>
      this.#registry.referrers(repository, subject, renewal),
    )
    const index = imported === undefined ? body : addReferrers(body, imported.entries)
    this.#knownNames.add(repository, listedManifests(index))
    return { index, cacheResult }
  }

  async #find(
    request: ListRequest,
    options: { signal: AbortSignal },
    askUpstream: (options: HeadRequestOptions) => Promise<Uint8Array>,
  ): Promise<{ readonly body: Uint8Array; readonly cacheResult: CacheResult }> {
    const { repository, topic, isEmpty } = request
    const { value, cacheResult } = await this.#revalidation.get<CachedList & AnswerTimes>(
      {
        key: `${topic} ${repositoryKey(repository)}`,
        freshness: this.#registry.freshness(repository),
        load: () => this.#known(request),
        askUpstream: async (renewal) => {
          await this.#knownNames.beforeReading(repository)
          const isAnonymous = await this.#knownNames.isInDoubt(repository)
          const body = await askUpstream({ ...renewal, isAnonymous })
          const list: CachedList = { body, checkedAt: Date.now() }
          if (!isEmpty(body)) await this.#knownNames.beforeStoring(repository)
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

  async #known(request: ListRequest): Promise<(CachedList & AnswerTimes) | undefined> {
    const { repository, topic, importedAt } = request
    if (await this.#knownNames.isInDoubt(repository)) return undefined
    const known = await this.#catalog.cachedList(repository, topic)
    if (importedAt === undefined) return known
    return known === undefined
      ? { body: new Uint8Array(), checkedAt: importedAt, importedAt }
      : { ...known, importedAt }
  }
}
