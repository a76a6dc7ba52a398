import { unlessAborted } from '../lib/async/abort.ts'
import { SharedWork } from '../lib/async/shared-work.ts'
import { publish } from '../observe/events.ts'
import type { Digest } from '../oci/digest.ts'
import { type Repository, repositoryKey } from '../oci/names/repository.ts'
import type { Catalog, TagRecord } from '../ports/catalog.ts'
import type { Registry, TagHead, TagRequestOptions } from '../ports/registry.ts'
import type { ManifestAnswer } from '../ports/resolver.ts'
import { isFresh, type Revalidation } from './freshness.ts'
import type { KnownNames } from './known-names/known-names.ts'
import type { ManifestLookup } from './manifest-lookup.ts'
import { waitUntilVerified } from './manifests/manifest-body.ts'

export interface TagLookupOptions {
  readonly catalog: Catalog
  readonly registry: Registry
  readonly manifests: ManifestLookup
  readonly knownNames: KnownNames
  readonly revalidation: Revalidation
  /** How long upstream may take to answer another node. */
  readonly timeoutMs: number
}

/** Finds what a tag refers to: from the catalog while that is fresh, and from upstream after that. */
export class TagLookup {
  readonly #catalog: Catalog
  readonly #registry: Registry
  readonly #manifests: ManifestLookup
  readonly #knownNames: KnownNames
  readonly #revalidation: Revalidation
  readonly #timeoutMs: number
  /** Requests to upstream on behalf of other nodes. */
  readonly #upstreamRequests = new SharedWork<TagHead>()

  constructor({ catalog, registry, manifests, knownNames, revalidation, timeoutMs }: TagLookupOptions) {
    this.#catalog = catalog
    this.#registry = registry
    this.#manifests = manifests
    this.#knownNames = knownNames
    this.#revalidation = revalidation
    this.#timeoutMs = timeoutMs
  }

  /** Gives the manifest that the tag refers to. */
  async manifest(
    repository: Repository,
    tag: string,
    options: { signal: AbortSignal },
  ): Promise<ManifestAnswer> {
    const { value, cacheResult } = await this.#revalidation.get<TagRecord>(
      {
        key: `tag ${repositoryKey(repository)} ${tag}`,
        freshness: this.#registry.freshness(repository),
        load: () => this.#catalog.tag(repository, tag),
        askUpstream: (renewal) => this.#renew(repository, tag, renewal),
        forget: async () => {
          await ignoreFullDisk(this.#catalog.forgetTag(repository, tag))
          publish('tag.revalidated', { repository, tag, outcome: 'gone' })
        },
      },
      options,
    )
    if (cacheResult.kind === 'stale-if-error') {
      publish('tag.revalidated', { repository, tag, outcome: 'stale-if-error' })
    }
    // Upstream has said what the tag refers to, perhaps to a peer.
    this.#knownNames.add(repository, [value.digest])
    const manifest = await this.#manifests.find(repository, value.digest, options)
    return cacheResult.kind === 'hit' ? manifest : { ...manifest, cacheResult }
  }

  /**
   * Gives what a tag refers to, for another node. `isUpstreamOnly`: no other node is asked, because that node may be
   * waiting for this one.
   */
  async head(
    repository: Repository,
    tag: string,
    { signal, isUpstreamOnly }: TagRequestOptions,
  ): Promise<TagHead> {
    if (isUpstreamOnly) return this.#headFromUpstream(repository, tag, signal)
    const manifest = await this.manifest(repository, tag, { signal })
    const { digest, mediaType } = await waitUntilVerified(manifest, { signal })
    const record = await this.#catalog.tag(repository, tag)
    return { digest, mediaType, size: undefined, ageMs: ageOf(record) }
  }

  async #headFromUpstream(repository: Repository, tag: string, signal: AbortSignal): Promise<TagHead> {
    const known = await this.#catalog.tag(repository, tag)
    if (known !== undefined && isFresh(known, Date.now(), this.#registry.freshness(repository))) {
      return { digest: known.digest, mediaType: known.mediaType, size: undefined, ageMs: ageOf(known) }
    }
    const { promise } = this.#upstreamRequests.run(`${repositoryKey(repository)}:${tag}`, () =>
      this.#registry.tag(repository, tag, {
        signal: AbortSignal.timeout(this.#timeoutMs),
        isUpstreamOnly: true,
      }),
    )
    const head = await unlessAborted(promise, signal)
    return { ...head, ageMs: head.ageMs ?? 0 }
  }

  async #renew(repository: Repository, tag: string, options: { signal: AbortSignal }): Promise<TagRecord> {
    await this.#knownNames.beforeReading(repository)
    const head = await this.#registry.tag(repository, tag, options)
    await this.#knownNames.beforeStoring(repository)
    try {
      return await this.#move(repository, tag, head, options)
    } catch (error) {
      // A manifest that only another node has named may be one that nobody can bring: then upstream itself is asked.
      if (head.ageMs === undefined || options.signal.aborted) throw error
      const own = await this.#registry.tag(repository, tag, { ...options, isUpstreamOnly: true })
      if (own.digest === head.digest) throw error
      return this.#move(repository, tag, own, options)
    }
  }

  async #move(
    repository: Repository,
    tag: string,
    { digest, ageMs = 0 }: TagHead,
    options: { signal: AbortSignal },
  ): Promise<TagRecord> {
    const checkedAt = Date.now() - Math.max(0, ageMs)
    const before = await this.#catalog.tag(repository, tag)
    // An object store may say what upstream said to this node later than that.
    if (before !== undefined && ageMs > 0 && before.checkedAt >= checkedAt) return before
    this.#knownNames.add(repository, [digest])
    // A tag moves only to a manifest that this node can serve.
    const manifest = await this.#manifests.find(repository, digest, options)
    const { mediaType } = await waitUntilVerified(manifest, options)
    // Upstream has confirmed an imported tag, or moved it: then it is a tag as any other.
    const importedAt = before?.digest === digest ? before.importedAt : undefined
    const record = { digest, mediaType, checkedAt, ...(importedAt === undefined ? {} : { importedAt }) }
    await ignoreFullDisk(this.#catalog.rememberTag(repository, tag, record))
    await this.#knownNames.remember(repository, digest)
    publish('tag.revalidated', { repository, tag, outcome: outcomeOf(before?.digest, digest) })
    return record
  }
}

/** A clock that was set back makes no record younger than just now. */
function ageOf(record: TagRecord | undefined): number {
  return record === undefined ? 0 : Math.max(0, Date.now() - record.checkedAt)
}

/** The client gets its answer although a full disk remembers nothing new. Upstream is asked again next time. */
async function ignoreFullDisk(remembering: Promise<void>): Promise<void> {
  await remembering.catch(() => {})
}

function outcomeOf(before: Digest | undefined, after: Digest): 'new' | 'same' | 'moved' {
  if (before === undefined) return 'new'
  return before === after ? 'same' : 'moved'
}
