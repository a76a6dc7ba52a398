import { unlessAborted } from '../lib/async/abort.ts'
import { Semaphore } from '../lib/async/semaphore.ts'
import { SharedWork } from '../lib/async/shared-work.ts'
import { publish } from '../observe/events.ts'
import type { Digest } from '../oci/digest.ts'
import { isSameRepository, type Repository, repositoryKey } from '../oci/names/repository.ts'
import type { BlobStore, Incoming } from '../ports/blob-store.ts'
import type { CachedList, Catalog, TagRecord } from '../ports/catalog.ts'
import type { Content } from '../ports/content.ts'
import type { LocalContent } from '../ports/local-content.ts'
import type { Registry, TagHead, TagRequestOptions } from '../ports/registry.ts'
import type { BlobAnswer, CacheResult, HeadAnswer, ManifestAnswer, Resolver } from '../ports/resolver.ts'
import type { Want } from '../ports/source.ts'
import type { Description } from './flight/description.ts'
import type { FlightPolicy } from './flight/flight-policy.ts'
import { Flights } from './flight/flights.ts'
import { followFlight } from './flight/follow.ts'
import { type FreshnessPolicy, isFresh, Revalidation } from './freshness.ts'
import { KnownNames } from './known-names.ts'
import { LocalContentLookup } from './local-content.ts'
import { readAll, waitUntilVerified } from './manifests/manifest-body.ts'
import { ManifestMemory } from './manifests/manifest-memory.ts'
import {
  describeManifest,
  listedManifests,
  provenDigests,
  readManifest,
  readMediaType,
} from './manifests/manifest-reading.ts'

export interface CachingResolverOptions {
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly registry: Registry
  readonly flightPolicy: FlightPolicy
  readonly freshnessPolicy: FreshnessPolicy
  readonly manifestMemoryBytes: number
  readonly flightLimit: number
}

const HIT: CacheResult = { kind: 'hit' }
/** A larger manifest is never in memory whole, but for a moment to be described. */
const IN_MEMORY = 64 * 1024
const LARGE_AT_ONCE = 2
const NEVER = new AbortController().signal
/** So many flights of others may fail before one who joined them is told that it failed. */
const MOST_OTHERS = 3

/** Who has it: the store, then a transfer under way, then the sources. */
export class CachingResolver implements Resolver {
  readonly flights: Flights
  readonly localContent: LocalContent
  readonly #store: BlobStore
  readonly #catalog: Catalog
  readonly #registry: Registry
  readonly #belonging: KnownNames
  readonly #revalidation: Revalidation
  /** Tags that are asked of upstream for another node. */
  readonly #firsthand = new SharedWork<TagHead>()
  readonly #patienceMs: number
  readonly #manifests: ManifestMemory
  readonly #largeManifests = new Semaphore(LARGE_AT_ONCE)
  /** Grows with everything that the store drops. */
  #forgotten = 0

  constructor(options: CachingResolverOptions) {
    this.#store = options.store
    this.#catalog = options.catalog
    this.#registry = options.registry
    this.#revalidation = new Revalidation(options.freshnessPolicy)
    this.#patienceMs = options.freshnessPolicy.timeoutMs
    this.#manifests = new ManifestMemory(options.manifestMemoryBytes)
    this.#belonging = new KnownNames({ ...options, timeoutMs: this.#patienceMs })
    this.flights = new Flights({
      store: options.store,
      sources: (want) => options.registry.sources(want),
      policy: options.flightPolicy,
      confirm: (want) => this.#belonging.check(want),
      describe: async (want, incoming, declared) => {
        const description = await this.#describe(want, incoming, declared)
        // Before clients have the manifest, who then ask for what it references.
        this.#belonging.add(want.repository, [want.digest, ...provenDigests(description)])
        return description
      },
      limit: options.flightLimit,
    })
    this.localContent = new LocalContentLookup(options.store, this.flights, this.#belonging)
  }

  async blob(repository: Repository, digest: Digest, options: { signal: AbortSignal }): Promise<BlobAnswer> {
    return this.#open({ kind: 'blob', repository, digest }, options)
  }

  async blobHead(
    repository: Repository,
    digest: Digest,
    options: { signal: AbortSignal },
  ): Promise<HeadAnswer> {
    return this.#head({ kind: 'blob', repository, digest }, options)
  }

  async manifestHead(
    repository: Repository,
    digest: Digest,
    options: { signal: AbortSignal },
  ): Promise<HeadAnswer> {
    return this.#head({ kind: 'manifest', repository, digest }, options)
  }

  async manifestByDigest(
    repository: Repository,
    digest: Digest,
    options: { signal: AbortSignal },
  ): Promise<ManifestAnswer> {
    const remembered = this.#manifests.get(digest)
    if (remembered !== undefined) {
      if (!this.#belonging.isCached(repository, digest)) {
        await this.#belonging.check({ kind: 'manifest', repository, digest }, options)
      }
      this.#store.touch(digest)
      const { mediaType, bytes } = remembered
      return { digest, mediaType, size: bytes.length, body: bytes, cacheResult: HIT }
    }
    const forgotten = this.#forgotten
    const { content, cacheResult } = await this.#open({ kind: 'manifest', repository, digest }, options)
    const { size } = content
    let isGiven = false
    try {
      if (size > IN_MEMORY) {
        const mediaType = content.mediaType ?? (await this.#readType(content, options))
        isGiven = true
        return { digest, mediaType, size, body: content, cacheResult }
      }
      const manifest = await readManifest(content, options)
      // One that was dropped from the store while it was read must not come back from memory.
      if (forgotten === this.#forgotten) this.#manifests.put(manifest)
      const { mediaType, bytes } = manifest
      return { digest, mediaType, size, body: bytes, cacheResult }
    } finally {
      if (!isGiven) await content.close()
    }
  }

  async manifestByTag(
    repository: Repository,
    tag: string,
    options: { signal: AbortSignal },
  ): Promise<ManifestAnswer> {
    const { value, cacheResult } = await this.#revalidation.get<TagRecord>(
      {
        key: `tag ${repositoryKey(repository)} ${tag}`,
        freshness: this.#registry.freshness(repository),
        load: () => this.#catalog.tag(repository, tag),
        askUpstream: (renewal) => this.#renewTag(repository, tag, renewal),
        forget: async () => {
          await ifPossible(this.#catalog.forgetTag(repository, tag))
          publish('tag.revalidated', { repository, tag, outcome: 'gone' })
        },
      },
      options,
    )
    if (cacheResult.kind === 'stale-if-error') {
      publish('tag.revalidated', { repository, tag, outcome: 'stale-if-error' })
    }
    // Upstream has said what the tag is; or a peer that had it from there.
    this.#belonging.add(repository, [value.digest])
    const manifest = await this.manifestByDigest(repository, value.digest, options)
    return cacheResult.kind === 'hit' ? manifest : { ...manifest, cacheResult }
  }

  /** What a tag is, as another node is told it. Firsthand: without asking other nodes, who may be waiting for that one. */
  async tagHead(
    repository: Repository,
    tag: string,
    { signal, isUpstreamOnly }: TagRequestOptions,
  ): Promise<TagHead> {
    if (!isUpstreamOnly) {
      const { digest, mediaType } = await waitUntilVerified(
        await this.manifestByTag(repository, tag, { signal }),
        {
          signal,
        },
      )
      const record = await this.#catalog.tag(repository, tag)
      return { digest, mediaType, size: undefined, ageMs: ageOf(record) }
    }
    const known = await this.#catalog.tag(repository, tag)
    if (known !== undefined && isFresh(known.checkedAt, Date.now(), this.#registry.freshness(repository))) {
      return { digest: known.digest, mediaType: known.mediaType, size: undefined, ageMs: ageOf(known) }
    }
    const { promise } = this.#firsthand.run(`${repositoryKey(repository)}:${tag}`, () =>
      this.#registry.tag(repository, tag, {
        signal: AbortSignal.timeout(this.#patienceMs),
        isUpstreamOnly: true,
      }),
    )
    return { ...(await unlessAborted(promise, signal)), ageMs: 0 }
  }

  async tags(
    repository: Repository,
    options: { signal: AbortSignal },
  ): Promise<{ readonly tags: readonly string[]; readonly cacheResult: CacheResult }> {
    const { body, cacheResult } = await this.#hear(repository, 'tags', options, async (renewal) => {
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
    const { body, cacheResult } = await this.#hear(repository, `referrers/${subject}`, options, (renewal) =>
      this.#registry.referrers(repository, subject, renewal),
    )
    this.#belonging.add(repository, listedManifests(body))
    return { index: body, cacheResult }
  }

  repositories(): Promise<readonly Repository[]> {
    return this.#catalog.repositories()
  }

  isPrivate(repository: Repository): Promise<boolean> {
    return this.#registry.isPrivate(repository)
  }

  /** The store has dropped it: it is no longer served from memory either. */
  forget(digest: Digest): void {
    this.#forgotten += 1
    this.#manifests.drop(digest)
    this.#belonging.forget(digest)
  }

  async #head(want: Want, options: { signal: AbortSignal }): Promise<HeadAnswer> {
    const { digest, repository } = want
    const facts = await this.#store.facts(digest)
    if (facts !== undefined) {
      await this.#belonging.check(want, options)
      return { size: facts.size, mediaType: facts.mediaType, cacheResult: HIT }
    }
    const flight = this.flights.get(digest)
    const told = flight?.readers.knownHead
    if (flight !== undefined && told !== undefined) {
      if (!isSameRepository(flight.want.repository, repository)) await this.#belonging.check(want, options)
      return {
        ...told,
        cacheResult: { kind: 'miss', from: flight.mainSourceKind ?? 'upstream', collapsed: true },
      }
    }
    const head = await this.#registry.head(want, options)
    return { ...head, cacheResult: { kind: 'miss', from: 'upstream', collapsed: false } }
  }

  /** Waits for all of it first: whoever has a slot must not wait for a transfer, which needs one to end. */
  async #readType(content: Content, options: { signal: AbortSignal }): Promise<string> {
    await content.readable(content.size - 1, options)
    return this.#largeManifests.use(options.signal, () => readMediaType(content, options))
  }

  /** Large manifests are described a few at a time, because each is in memory whole then. */
  #describe(want: Want, incoming: Incoming, declared: string | undefined): Promise<Description> {
    const describing = (): Promise<Description> => describe(want, incoming, declared)
    const isLarge = want.kind === 'manifest' && incoming.position > IN_MEMORY
    return isLarge ? this.#largeManifests.use(NEVER, describing) : describing()
  }

  async #open(want: Want, options: { signal: AbortSignal }): Promise<BlobAnswer> {
    const { digest } = want
    let isChecked = false
    for (let others = 0; ; others += 1) {
      const content = await this.#stored(digest)
      if (content !== undefined)
        return { content: await this.#permitted(content, want, options), cacheResult: HIT }
      const running = this.flights.get(digest)
      if (
        !isChecked &&
        running !== undefined &&
        !isSameRepository(running.want.repository, want.repository)
      ) {
        // It may be over by then.
        await this.#belonging.check(want, options)
        isChecked = true
        continue
      }
      const { flight, collapsed } = this.flights.join(want)
      try {
        const content = await followFlight(flight, options)
        return {
          content,
          cacheResult: { kind: 'miss', from: flight.mainSourceKind ?? 'upstream', collapsed },
        }
      } catch (error) {
        // Somebody else wanted it by another name, or as what it is not: that says nothing of this one.
        const mayBeHad = others < MOST_OTHERS && collapsed && isElsewhere(flight.want, want)
        if (!mayBeHad || options.signal.aborted) throw error
        await unlessAborted(flight.ended, options.signal)
      }
    }
  }

  /** What is stored, unless it is not known to be in that repository: then it is closed. */
  async #permitted(content: Content, want: Want, options: { signal: AbortSignal }): Promise<Content> {
    if (this.#belonging.isCached(want.repository, want.digest)) return content
    try {
      await this.#belonging.check(want, options)
      return content
    } catch (error) {
      await content.close()
      throw error
    }
  }

  /** Undefined when it is not stored, or there is a flight for it. */
  async #stored(digest: Digest): Promise<Content | undefined> {
    while (!this.flights.get(digest)) {
      const before = this.flights.endedCount
      const content = await this.#store.open(digest)
      // A flight that ended meanwhile may have stored it just after the store was asked.
      if (content !== undefined || this.flights.endedCount === before) return content
    }
    return undefined
  }

  async #renewTag(repository: Repository, tag: string, options: { signal: AbortSignal }): Promise<TagRecord> {
    const head = await this.#registry.tag(repository, tag, options)
    try {
      return await this.#moveTag(repository, tag, head, options)
    } catch (error) {
      // What was only heard from others may be what nobody can bring: then upstream is asked itself.
      if (head.ageMs === undefined || options.signal.aborted) throw error
      const own = await this.#registry.tag(repository, tag, { ...options, isUpstreamOnly: true })
      if (own.digest === head.digest) throw error
      return this.#moveTag(repository, tag, own, options)
    }
  }

  async #moveTag(
    repository: Repository,
    tag: string,
    { digest, ageMs = 0 }: TagHead,
    options: { signal: AbortSignal },
  ): Promise<TagRecord> {
    const checkedAt = Date.now() - Math.max(0, ageMs)
    const before = await this.#catalog.tag(repository, tag)
    this.#belonging.add(repository, [digest])
    // A tag is moved only to what this node can serve.
    const { mediaType } = await waitUntilVerified(
      await this.manifestByDigest(repository, digest, options),
      options,
    )
    const record: TagRecord = { digest, mediaType, checkedAt }
    await ifPossible(this.#catalog.rememberTag(repository, tag, record))
    await ifPossible(this.#catalog.rememberKnownName(repository, digest))
    publish('tag.revalidated', { repository, tag, outcome: outcomeOf(before?.digest, digest) })
    return record
  }

  async #hear(
    repository: Repository,
    topic: string,
    options: { signal: AbortSignal },
    ask: (renewal: { signal: AbortSignal }) => Promise<Uint8Array>,
  ): Promise<{ readonly body: Uint8Array; readonly cacheResult: CacheResult }> {
    const { value, cacheResult } = await this.#revalidation.get<CachedList>(
      {
        key: `${topic} ${repositoryKey(repository)}`,
        freshness: this.#registry.freshness(repository),
        load: () => this.#catalog.cachedList(repository, topic),
        askUpstream: async (renewal) => {
          const heard: CachedList = { body: await ask(renewal), checkedAt: Date.now() }
          await ifPossible(this.#catalog.rememberList(repository, topic, heard))
          return heard
        },
        forget: async () => {},
      },
      options,
    )
    return { body: value.body, cacheResult }
  }
}

function isElsewhere(one: Want, other: Want): boolean {
  return one.kind !== other.kind || !isSameRepository(one.repository, other.repository)
}

/** Looks into what has arrived and is verified, before it is stored. */
async function describe(want: Want, incoming: Incoming, declared: string | undefined): Promise<Description> {
  if (want.kind === 'blob') return { mediaType: undefined, references: [], subject: undefined }
  const bytes = await readAll((target, position) => incoming.read(target, position), incoming.position)
  return describeManifest(bytes, declared)
}

/** A full disk remembers nothing new. It is asked for again, then; the client gets its answer. */
async function ifPossible(remembering: Promise<void>): Promise<void> {
  await remembering.catch(() => {})
}

/** A clock that was set back makes nothing younger than just now. */
function ageOf(record: TagRecord | undefined): number {
  return record === undefined ? 0 : Math.max(0, Date.now() - record.checkedAt)
}

function outcomeOf(before: Digest | undefined, after: Digest): 'new' | 'same' | 'moved' {
  if (before === undefined) return 'new'
  return before === after ? 'same' : 'moved'
}
