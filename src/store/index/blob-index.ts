import * as v from 'valibot'
import { BoundedMap } from '../../lib/bounded-map.ts'
import { parseJson } from '../../lib/json.ts'
import { type Algorithm, type Digest, parseDigest } from '../../oci/digest.ts'
import { type Database, type DatabaseBatch, keysUnder, pages, SEPARATOR } from '../database/database.ts'
import { type BlobEntry, type BlobRelations, decodeEntry, encodeEntry } from './blob-entry.ts'
import { DigestFilter } from './digest-filter.ts'
import { EvictionOrder } from './eviction-order.ts'
import { type ChangeJournal, Links } from './hosted/links.ts'
import { putKnownName, removeKnownNames, repositoryKeysOf } from './known-names.ts'
import { Pins } from './pins.ts'
import { ReferencedBy } from './referenced-by.ts'

const StoredDigests = v.array(v.string())

/** At most 4096 entries stay in memory, so that a request for a blob in use needs no lookup in LevelDB. */
const CACHED_ENTRIES = 4096
const blobKey = (digest: Digest): string => `blob${SEPARATOR}${digest}`
const referencesKey = (digest: Digest): string => `children${SEPARATOR}${digest}`
const bytesKey = (digest: Digest): string => `bytes${SEPARATOR}${digest}`
const checkpointsKey = (digest: Digest): string => `marks${SEPARATOR}${digest}`

/** The index of blobs: digest → entry, manifest → references and back, subject → referrers, digest → repositories. */
export class BlobIndex {
  /** The order of eviction, the links, the pins and the references change in the same batch as the entries. */
  readonly evictionOrder: EvictionOrder
  readonly links: Links
  readonly pins: Pins
  readonly referencedBy: ReferencedBy
  readonly #database: Database
  readonly #cache = new BoundedMap<Digest, BlobEntry>(CACHED_ENTRIES)
  /** Changes of one digest run one after the other. */
  readonly #changing = new Map<Digest, Promise<unknown>>()
  /** All digests that have an entry, once all entries were read. */
  readonly #filter = new DigestFilter()
  #isFilterComplete = false
  /** Digests that are being removed: they count as not stored. */
  readonly #hidden = new Set<Digest>()
  #removals = 0
  #bytes = 0
  #blobs = 0

  /** `journal` is told of each change of what is hosted. */
  constructor(database: Database, journal?: ChangeJournal) {
    this.#database = database
    this.pins = new Pins(database)
    const entries = {
      inTurn: (digest: Digest, change: () => Promise<void>) => this.#change(digest, change),
      sizeOf: async (digest: Digest) => (await this.get(digest))?.size,
      inlineBytes: async (digest: Digest) =>
        (await this.get(digest))?.isInline ? this.bytes(digest) : undefined,
      changed: async (digest: Digest) => {
        if (await this.pins.isRetained(digest)) this.pins.retainedChanged()
      },
    }
    this.links = new Links(database, entries, journal)
    this.referencedBy = new ReferencedBy(database, (manifest) => this.references(manifest))
    this.evictionOrder = new EvictionOrder(database, this)
  }

  get usage(): { readonly bytes: number; readonly blobs: number } {
    return { bytes: this.#bytes, blobs: this.#blobs }
  }

  /** Sets the usage once at the start, after all entries were read. */
  setUsage(bytes: number, blobs: number): void {
    this.#bytes = bytes
    this.#blobs = blobs
  }

  /** To be called once at the start, after `entriesUnder` has given every entry: from now on no absent blob is looked up. */
  allRead(): void {
    this.#isFilterComplete = true
  }

  async get(digest: Digest): Promise<BlobEntry | undefined> {
    if (this.#hidden.has(digest)) return undefined
    const known = this.#cache.get(digest)
    if (known !== undefined) {
      // Setting moves the entry to the end: the map drops the first, which was not needed for longest.
      this.#cache.set(digest, known)
      return known
    }
    const removals = this.#removals
    const entry = await this.#read(digest)
    if (this.#hidden.has(digest)) return undefined
    // An entry that was removed meanwhile must not be cached.
    if (entry !== undefined && !this.#changing.has(digest) && removals === this.#removals)
      this.#cache.set(digest, entry)
    return entry
  }

  /** Reads many entries at once, without caching them: most will not be needed again. */
  async getMany(digests: readonly Digest[]): Promise<(BlobEntry | undefined)[]> {
    const known = digests.map((digest) => this.#cache.get(digest))
    const unknown = digests.filter((_, at) => known[at] === undefined)
    if (unknown.length === 0) return known
    const texts: (string | undefined)[] = await this.#database.getMany(unknown.map(blobKey))
    let next = 0
    return digests.map((digest, at) => {
      const text = known[at] === undefined ? texts[next++] : undefined
      if (this.#hidden.has(digest)) return undefined
      return known[at] ?? (text === undefined ? undefined : decodeEntry(digest, text))
    })
  }

  /**
   * Adds or replaces an entry. Durable when the call resolves, unless `sync` is false. What is pushed keeps the type and the origin that it has in the
   * store.
   */
  put(given: BlobEntry, relations: BlobRelations, { sync = true } = {}): Promise<void> {
    return this.#change(given.digest, async () => {
      const { digest } = given
      const { link } = relations
      const before = await this.get(digest)
      const linkBefore =
        link && (await this.links.get(link.repository, digest, { isStored: before !== undefined }))
      const entry =
        link === undefined || before === undefined
          ? given
          : { ...given, mediaType: before.mediaType ?? given.mediaType, origin: before.origin }
      const [rank] = before === undefined ? [] : await this.evictionOrder.ranks([before])
      const pins = await this.pins.pinsRetaining(digest)
      const isStored = before !== undefined
      const wasLinked = linkBefore !== undefined || (await this.links.isLinked(digest, { isStored }))
      this.#filter.add(digest)
      const batch = this.#database.batch().put(blobKey(digest), encodeEntry(entry))
      this.evictionOrder.add(batch, entry, rank)
      await this.pins.extendTo(batch, pins, relations.references, (manifest) => this.references(manifest))
      if (relations.references.length > 0)
        batch.put(referencesKey(digest), JSON.stringify(relations.references))
      this.referencedBy.add(batch, digest, relations.references)
      if (relations.subject !== undefined)
        batch.put(`referrer${SEPARATOR}${relations.subject}${SEPARATOR}${digest}`, '')
      if (relations.repository !== undefined) putKnownName(batch, relations.repository, digest)
      if (relations.checkpoints !== undefined) putBytes(batch, checkpointsKey(digest), relations.checkpoints)
      if (relations.bytes !== undefined) putBytes(batch, bytesKey(digest), relations.bytes)
      else if (before?.isInline) batch.del(bytesKey(digest))
      const write = (): Promise<void> => batch.write({ sync })
      if (link === undefined) await write()
      else await this.links.add(batch, digest, { link, before: linkBefore, bytes: relations.bytes }, write)
      this.#hidden.delete(digest)
      this.#cache.set(entry.digest, entry)
      const sizeBefore = before?.size ?? 0
      this.#bytes += entry.size - sizeBefore
      const isLinked = wasLinked || link !== undefined
      this.links.entryWritten({ wasLinked, isLinked }, { sizeBefore, size: entry.size })
      if (before === undefined) this.#blobs += 1
      if (pins.length > 0) this.pins.retainedChanged()
      if (relations.references.length === 0) return
      await this.pins.settleAfterPut(digest, pins, (manifest) => this.references(manifest))
    })
  }

  /**
   * Removes a blob whose file is not what was stored, and which will be fetched or pushed again: its known names, links and
   * referrers stay valid. An entry that a full disk keeps stays hidden.
   */
  remove(digest: Digest): Promise<void> {
    return this.#change(digest, async () => {
      if (this.#hidden.has(digest)) return
      const before = await this.#read(digest)
      this.hide(digest)
      if (before !== undefined) {
        this.#subtractUsage([before])
        if (await this.links.isLinked(digest)) this.links.entryRemoved(before.size)
      }
      this.pins.retainedChanged()
      await this.#removeAll([digest], [before], { sync: true, withNames: false })
      this.#hidden.delete(digest)
    })
  }

  /** Removes many entries and their known names at the start, before `setUsage`. */
  async removeAll(digests: readonly Digest[]): Promise<void> {
    await this.#removeAll(digests, await this.getMany(digests), { sync: true, withNames: true })
  }

  /** From now on the blob counts as not stored: its file is about to be removed. */
  hide(digest: Digest): void {
    this.#hidden.add(digest)
    this.#cache.delete(digest)
  }

  /** The blob is still stored. */
  show(digest: Digest): void {
    this.#hidden.delete(digest)
  }

  /**
   * Removes hidden entries and their known names, after their files. No pin retains any of them. The write is not synced:
   * entries that a power cut brings back have no files, and are dropped at the next start. So are entries that stay because
   * the index cannot be written; they stay hidden until then.
   */
  async removeHidden(entries: readonly BlobEntry[]): Promise<void> {
    const digests = entries.map(({ digest }) => digest)
    this.#subtractUsage(entries)
    await this.#removeAll(digests, entries, { sync: false, withNames: true })
    for (const digest of digests) this.#hidden.delete(digest)
  }

  /** Gives the entry of every blob whose digest begins with `start`; undefined where it cannot be read. */
  async entriesUnder(start: string): Promise<Map<Digest, BlobEntry | undefined>> {
    const entries = new Map<Digest, BlobEntry | undefined>()
    const range = { gte: `blob${SEPARATOR}${start}`, lt: `blob${SEPARATOR}${start}~` }
    for (const [key, text] of await this.#database.iterator(range).all()) {
      const digest = parseDigest(key.slice(key.indexOf(SEPARATOR) + 1))
      if (digest === undefined) continue
      this.#filter.add(digest)
      entries.set(digest, decodeEntry(digest, text))
    }
    return entries
  }

  /** Gives the first two digits of all digests of this algorithm, each once. */
  async prefixes(algorithm: Algorithm): Promise<string[]> {
    const start = `blob${SEPARATOR}${algorithm}:`
    const found: string[] = []
    for (let at = 0; at < 256; at++) {
      const gte = start + at.toString(16).padStart(2, '0')
      const [key] = await this.#database.keys({ gte, lt: `${start}~`, limit: 1 }).all()
      if (key === undefined) break
      const prefix = key.slice(start.length, start.length + 2)
      if (!/^[0-9a-f]{2}$/.test(prefix)) continue
      found.push(prefix)
      at = Number.parseInt(prefix, 16)
    }
    return found
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

  /** Gives an inline content. */
  bytes(digest: Digest): Promise<Uint8Array | undefined> {
    return this.#database.get<string, Uint8Array>(bytesKey(digest), { valueEncoding: 'view' })
  }

  async referrersOf(subject: Digest): Promise<readonly Digest[]> {
    const keys = await this.#database.keys(keysUnder('referrer', subject)).all()
    return keys.flatMap((key) => parseDigest(key.slice(key.lastIndexOf(SEPARATOR) + 1)) ?? [])
  }

  async repositoriesOf(digest: Digest): Promise<readonly string[]> {
    return repositoryKeysOf(this.#database, digest)
  }

  async #read(digest: Digest): Promise<BlobEntry | undefined> {
    if (this.#isFilterComplete && !this.#filter.mayHave(digest)) return undefined
    const text: string | undefined = await this.#database.get(blobKey(digest))
    return text === undefined ? undefined : decodeEntry(digest, text)
  }

  async #removeAll(
    digests: readonly Digest[],
    entries: readonly (BlobEntry | undefined)[],
    { sync, withNames }: { sync: boolean; withNames: boolean },
  ): Promise<void> {
    const ranks = await this.evictionOrder.ranks(entries)
    const batch = this.#database.batch()
    for (const [at, digest] of digests.entries()) {
      this.#cache.delete(digest)
      const entry = entries[at]
      batch.del(blobKey(digest)).del(referencesKey(digest)).del(checkpointsKey(digest))
      if (entry === undefined || entry.isInline) batch.del(bytesKey(digest))
      if (entry?.kind !== 'blob') await this.referencedBy.remove(batch, digest)
      if (withNames) await removeKnownNames(this.#database, batch, digest)
      this.evictionOrder.remove(batch, digest, ranks[at])
    }
    this.#removals += 1
    await batch.write({ sync })
    // Reads that ran meanwhile must not cache what they found.
    this.#removals += 1
    for (const digest of digests) this.#cache.delete(digest)
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

function putBytes(batch: DatabaseBatch, key: string, bytes: Uint8Array): void {
  batch.put<string, Uint8Array>(key, bytes, { valueEncoding: 'view' })
}
