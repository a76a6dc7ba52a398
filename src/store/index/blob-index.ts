import * as v from 'valibot'
import { BoundedMap } from '../../lib/bounded-map.ts'
import { parseJson } from '../../lib/json.ts'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import type { BlobFacts } from '../../ports/blob-store.ts'
import { type Database, keysUnder, SEPARATOR } from './database.ts'
import { EvictionOrder } from './eviction-order.ts'
import { Pins } from './pins.ts'
import { ReferencedBy } from './referenced-by.ts'

/** What the index says of a blob; when it was last used is kept apart, because that changes. */
export type BlobEntry = Omit<BlobFacts, 'lastUsedAt'>

/** What is known of a blob when it is stored, besides the entry itself. */
export interface BlobRelations {
  readonly references: readonly Digest[]
  readonly subject: Digest | undefined
  /** undefined for one that was found on disk: nobody knows any more who asked for it. */
  readonly repository: Repository | undefined
  readonly checkpoints?: Uint8Array | undefined
}

const StoredEntry = v.object({
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  kind: v.picklist(['manifest', 'blob']),
  mediaType: v.optional(v.string()),
  storedAt: v.number(),
  origin: v.string(),
})
const StoredDigests = v.array(v.string())

/** How many entries are remembered, so that a hit on a blob in use needs no look into the index. */
const CACHED_ENTRIES = 4096
const PAGE_SIZE = 1000
/** More repositories than have one digest, as a rule. */
const HOLDER_PAGE_SIZE = 32

const blobKey = (digest: Digest): string => `blob${SEPARATOR}${digest}`
const referencesKey = (digest: Digest): string => `children${SEPARATOR}${digest}`
const checkpointsKey = (digest: Digest): string => `marks${SEPARATOR}${digest}`

/** The index of blobs: digest → entry, manifest → children and back, subject → referrers, digest → repositories. */
export class BlobIndex {
  /** Which blobs go first, and which must stay: kept in step with the entries. */
  readonly evictionOrder: EvictionOrder
  readonly pins: Pins
  readonly referencedBy: ReferencedBy
  readonly #database: Database
  readonly #cache = new BoundedMap<Digest, BlobEntry>(CACHED_ENTRIES)
  /** Changes of one digest wait for each other. */
  readonly #changing = new Map<Digest, Promise<unknown>>()
  /** On their way out: not here any more for whoever asks. */
  readonly #hidden = new Set<Digest>()
  #removals = 0
  #bytes = 0
  #blobs = 0

  constructor(database: Database) {
    this.#database = database
    this.pins = new Pins(database)
    this.referencedBy = new ReferencedBy(database, (manifest) => this.references(manifest))
    this.evictionOrder = new EvictionOrder(database, this)
  }

  get usage(): { readonly bytes: number; readonly blobs: number } {
    return { bytes: this.#bytes, blobs: this.#blobs }
  }

  /** Told once, by who has looked through all entries. */
  setUsage(bytes: number, blobs: number): void {
    this.#bytes = bytes
    this.#blobs = blobs
  }

  async get(digest: Digest): Promise<BlobEntry | undefined> {
    if (this.#hidden.has(digest)) return undefined
    const known = this.#cache.get(digest)
    if (known !== undefined) {
      // Moved to the end: the first in the map is the one that was not needed for longest.
      this.#cache.set(digest, known)
      return known
    }
    const removals = this.#removals
    const entry = await this.#read(digest)
    if (this.#hidden.has(digest)) return undefined
    // Removed meanwhile, it must not be remembered.
    if (entry !== undefined && !this.#changing.has(digest) && removals === this.#removals)
      this.#cache.set(digest, entry)
    return entry
  }

  /** Many at once, of which most will not be asked for again. */
  async getMany(digests: readonly Digest[]): Promise<(BlobEntry | undefined)[]> {
    const texts: (string | undefined)[] = await this.#database.getMany(digests.map(blobKey))
    return digests.map((digest, at) => {
      const text = texts[at]
      return text === undefined || this.#hidden.has(digest) ? undefined : decodeEntry(digest, text)
    })
  }

  /** Durable when it resolves. */
  put(entry: BlobEntry, ties: BlobRelations): Promise<void> {
    return this.#change(entry.digest, async () => {
      const { digest, ...value } = entry
      const before = await this.get(digest)
      const [place] = await this.evictionOrder.ranks([before])
      const keepers = await this.pins.pinsRetaining(digest)
      const batch = this.#database.batch().put(blobKey(digest), JSON.stringify(value))
      this.evictionOrder.add(batch, entry, place)
      await this.pins.extendTo(batch, keepers, ties.references, (manifest) => this.references(manifest))
      if (ties.references.length > 0) batch.put(referencesKey(digest), JSON.stringify(ties.references))
      this.referencedBy.add(batch, digest, ties.references)
      if (ties.subject !== undefined)
        batch.put(`referrer${SEPARATOR}${ties.subject}${SEPARATOR}${digest}`, '')
      if (ties.repository !== undefined) putKnownName(batch, ties.repository, digest)
      if (ties.checkpoints !== undefined)
        batch.put<string, Uint8Array>(checkpointsKey(digest), ties.checkpoints, { valueEncoding: 'view' })
      await batch.write({ sync: true })
      this.#hidden.delete(digest)
      this.#cache.set(entry.digest, entry)
      this.#bytes += entry.size - (before?.size ?? 0)
      if (before === undefined) this.#blobs += 1
      if (keepers.length > 0) this.pins.retainedChanged()
      if (ties.references.length === 0) return
      await this.pins.settleAfterPut(digest, keepers, (manifest) => this.references(manifest))
    })
  }

  /**
   * Forgets the blob itself, which is not what was stored and will be fetched again. Who has seen it, and what refers to
   * it, stays true. What a full disk keeps of it stays hidden.
   */
  remove(digest: Digest): Promise<void> {
    return this.#change(digest, async () => {
      if (this.#hidden.has(digest)) return
      const before = await this.#read(digest)
      this.hide(digest)
      if (before !== undefined) this.#subtractUsage([before])
      this.pins.retainedChanged()
      await this.#removeAll([digest], [before], { sync: true, isGone: false })
      this.#hidden.delete(digest)
    })
  }

  /** Forgets many, and who has seen them, at the start: usage is told afterwards by `count`. */
  async removeAll(digests: readonly Digest[]): Promise<void> {
    await this.#removeAll(digests, await this.getMany(digests), { sync: true, isGone: true })
  }

  /** From now on it is not here, whatever the index says: its file is about to go. */
  hide(digest: Digest): void {
    this.#hidden.add(digest)
    this.#cache.delete(digest)
  }

  /** It is here after all. */
  show(digest: Digest): void {
    this.#hidden.delete(digest)
  }

  /**
   * Forgets what was hidden and whose files are gone, and who has seen it; no pin keeps any of it. Not synced: entries that a power cut brings
   * back are dropped at the next start, because they have no files. So are those that an index which cannot be written to
   * keeps; they stay hidden until then.
   */
  async removeHidden(entries: readonly BlobEntry[]): Promise<void> {
    const digests = entries.map(({ digest }) => digest)
    this.#subtractUsage(entries)
    await this.#removeAll(digests, entries, { sync: false, isGone: true })
    for (const digest of digests) this.#hidden.delete(digest)
  }

  /** Size of every blob whose digest starts so, by digest; undefined where the entry cannot be read. */
  async sizesUnder(start: string): Promise<Map<Digest, number | undefined>> {
    const sizes = new Map<Digest, number | undefined>()
    const range = { gte: `blob${SEPARATOR}${start}`, lt: `blob${SEPARATOR}${start}~` }
    for (const [key, text] of await this.#database.iterator(range).all()) {
      const digest = parseDigest(key.slice(key.indexOf(SEPARATOR) + 1))
      if (digest !== undefined) sizes.set(digest, decodeEntry(digest, text)?.size)
    }
    return sizes
  }

  async *list(): AsyncGenerator<BlobEntry> {
    for await (const [key, text] of pages(this.#database, keysUnder('blob'))) {
      const digest = parseDigest(key.slice(key.indexOf(SEPARATOR) + 1))
      if (digest === undefined || this.#hidden.has(digest)) continue
      const entry = decodeEntry(digest, text)
      if (entry !== undefined) yield entry
    }
  }

  async references(manifest: Digest): Promise<readonly Digest[]> {
    const text: string | undefined = await this.#database.get(referencesKey(manifest))
    if (text === undefined) return []
    const parsed = v.safeParse(StoredDigests, parseJson(text))
    return parsed.success ? parsed.output.flatMap((each) => parseDigest(each) ?? []) : []
  }

  async checkpoints(digest: Digest): Promise<Uint8Array | undefined> {
    if ((await this.get(digest)) === undefined) return undefined
    return this.#database.get<string, Uint8Array>(checkpointsKey(digest), { valueEncoding: 'view' })
  }

  async referrersOf(subject: Digest): Promise<readonly Digest[]> {
    const keys = await this.#database.keys(keysUnder('referrer', subject)).all()
    return keys.flatMap((key) => parseDigest(key.slice(key.lastIndexOf(SEPARATOR) + 1)) ?? [])
  }

  /** `docker.io/library/alpine`: where it was seen, in ASCII order. */
  async repositoriesOf(digest: Digest): Promise<readonly string[]> {
    const keys = await this.#database.keys(keysUnder('holder', digest)).all()
    return keys.map((key) => key.slice(key.lastIndexOf(SEPARATOR) + 1))
  }

  async #read(digest: Digest): Promise<BlobEntry | undefined> {
    const text: string | undefined = await this.#database.get(blobKey(digest))
    return text === undefined ? undefined : decodeEntry(digest, text)
  }

  async #removeAll(
    digests: readonly Digest[],
    entries: readonly (BlobEntry | undefined)[],
    { sync, isGone }: { sync: boolean; isGone: boolean },
  ): Promise<void> {
    const places = await this.evictionOrder.ranks(entries)
    const batch = this.#database.batch()
    for (const [at, digest] of digests.entries()) {
      this.#cache.delete(digest)
      batch.del(blobKey(digest)).del(referencesKey(digest)).del(checkpointsKey(digest))
      if (entries[at]?.kind !== 'blob') await this.referencedBy.remove(batch, digest)
      if (isGone) await this.#removeKnownNames(batch, digest)
      this.evictionOrder.remove(batch, digest, places[at])
    }
    this.#removals += 1
    await batch.write({ sync })
    // Also what was read meanwhile.
    this.#removals += 1
    for (const digest of digests) this.#cache.delete(digest)
  }

  /** Kept for what is gone, they would only ever become more. */
  async #removeKnownNames(changes: { del(key: string): unknown }, digest: Digest): Promise<void> {
    const { gte: start, lt } = keysUnder('holder', digest)
    let gte = start
    for (let isMore = true; isMore; ) {
      const keys = await this.#database.keys({ gte, lt, limit: HOLDER_PAGE_SIZE }).all()
      for (const key of keys) changes.del(key)
      isMore = keys.length === HOLDER_PAGE_SIZE
      // The first key after the last one.
      gte = `${keys.at(-1)}${SEPARATOR}`
    }
  }

  #subtractUsage(entries: readonly BlobEntry[]): void {
    for (const { size } of entries) this.#bytes -= size
    this.#blobs -= entries.length
  }

  async #change(digest: Digest, make: () => Promise<void>): Promise<void> {
    const earlier = this.#changing.get(digest)
    const change = (earlier ?? Promise.resolve()).then(make, make)
    this.#changing.set(digest, change)
    try {
      await change
    } finally {
      if (this.#changing.get(digest) === change) this.#changing.delete(digest)
    }
  }
}

/** The two keys that say that a repository has a digest. */
export function putKnownName(
  batch: { put(key: string, value: string): unknown },
  repository: Repository,
  digest: Digest,
): void {
  const key = repositoryKey(repository)
  batch.put(knownNameKey(digest, key), '')
  batch.put(`repository${SEPARATOR}${key}`, '')
}

/** Says that this repository, as `repositoryKey` writes it, has this digest. */
export function knownNameKey(digest: Digest, repository: string): string {
  return ['holder', digest, repository].join(SEPARATOR)
}

/** Everything in a range, fetched a page at a time: one promise for each entry would cost more than reading it. */
export async function* pages(
  database: Database,
  range: { gte: string; lt: string },
): AsyncGenerator<[string, string]> {
  const iterator = database.iterator(range)
  try {
    for (;;) {
      const page = await iterator.nextv(PAGE_SIZE)
      if (page.length === 0) return
      yield* page
    }
  } finally {
    await iterator.close()
  }
}

function decodeEntry(digest: Digest, text: string): BlobEntry | undefined {
  const parsed = v.safeParse(StoredEntry, parseJson(text))
  if (!parsed.success) return undefined
  const { size, kind, mediaType, storedAt, origin } = parsed.output
  return { digest, size, kind, mediaType, storedAt, origin }
}
