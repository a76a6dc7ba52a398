import * as v from 'valibot'
import { BoundedMap } from '../../lib/bounded-map.ts'
import { parseJson } from '../../lib/json.ts'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import type { BlobFacts } from '../../ports/blob-store.ts'
import { type Database, keysUnder, SEPARATOR } from './database.ts'
import { Line } from './eviction-order.ts'
import { Needs } from './needs.ts'
import { Pins } from './pins.ts'

/** What the index says of a blob; when it was last used is kept apart, because that changes. */
export type Entry = Omit<BlobFacts, 'lastUsedAt'>

/** What is known of a blob when it is stored, besides the entry itself. */
export interface Ties {
  readonly references: readonly Digest[]
  readonly subject: Digest | undefined
  /** undefined for one that was found on disk: nobody knows any more who asked for it. */
  readonly repository: Repository | undefined
  readonly marks?: Uint8Array | undefined
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
const REMEMBERED = 4096
const PAGE = 1000
/** More repositories than have one digest, as a rule. */
const FEW = 32

const blobKey = (digest: Digest): string => `blob${SEPARATOR}${digest}`
const childrenKey = (digest: Digest): string => `children${SEPARATOR}${digest}`
const marksKey = (digest: Digest): string => `marks${SEPARATOR}${digest}`

/** The index of blobs: digest → entry, manifest → children and back, subject → referrers, digest → repositories. */
export class Entries {
  /** Which blobs go first, and which must stay: kept in step with the entries. */
  readonly line: Line
  readonly pins: Pins
  readonly needs: Needs
  readonly #database: Database
  readonly #remembered = new BoundedMap<Digest, Entry>(REMEMBERED)
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
    this.needs = new Needs(database, (manifest) => this.children(manifest))
    this.line = new Line(database, this)
  }

  get usage(): { readonly bytes: number; readonly blobs: number } {
    return { bytes: this.#bytes, blobs: this.#blobs }
  }

  /** Told once, by who has looked through all entries. */
  count(bytes: number, blobs: number): void {
    this.#bytes = bytes
    this.#blobs = blobs
  }

  async get(digest: Digest): Promise<Entry | undefined> {
    if (this.#hidden.has(digest)) return undefined
    const known = this.#remembered.get(digest)
    if (known !== undefined) {
      // Moved to the end: the first in the map is the one that was not needed for longest.
      this.#remembered.set(digest, known)
      return known
    }
    const removals = this.#removals
    const entry = await this.#read(digest)
    if (this.#hidden.has(digest)) return undefined
    // Removed meanwhile, it must not be remembered.
    if (entry !== undefined && !this.#changing.has(digest) && removals === this.#removals)
      this.#remembered.set(digest, entry)
    return entry
  }

  /** Many at once, of which most will not be asked for again. */
  async getMany(digests: readonly Digest[]): Promise<(Entry | undefined)[]> {
    const texts: (string | undefined)[] = await this.#database.getMany(digests.map(blobKey))
    return digests.map((digest, at) => {
      const text = texts[at]
      return text === undefined || this.#hidden.has(digest) ? undefined : decodeEntry(digest, text)
    })
  }

  /** Durable when it resolves. */
  put(entry: Entry, ties: Ties): Promise<void> {
    return this.#change(entry.digest, async () => {
      const { digest, ...value } = entry
      const before = await this.get(digest)
      const [place] = await this.line.places([before])
      const keepers = await this.pins.keepersOf(digest)
      const batch = this.#database.batch().put(blobKey(digest), JSON.stringify(value))
      this.line.enter(batch, entry, place)
      await this.pins.extend(batch, keepers, ties.references, (manifest) => this.children(manifest))
      if (ties.references.length > 0) batch.put(childrenKey(digest), JSON.stringify(ties.references))
      this.needs.enter(batch, digest, ties.references)
      if (ties.subject !== undefined)
        batch.put(`referrer${SEPARATOR}${ties.subject}${SEPARATOR}${digest}`, '')
      if (ties.repository !== undefined) putSeen(batch, ties.repository, digest)
      if (ties.marks !== undefined)
        batch.put<string, Uint8Array>(marksKey(digest), ties.marks, { valueEncoding: 'view' })
      await batch.write({ sync: true })
      this.#hidden.delete(digest)
      this.#remembered.set(entry.digest, entry)
      this.#bytes += entry.size - (before?.size ?? 0)
      if (before === undefined) this.#blobs += 1
      if (keepers.length > 0) this.pins.changed()
      if (ties.references.length === 0) return
      await this.pins.settle(digest, keepers, (manifest) => this.children(manifest))
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
      if (before !== undefined) this.#discount([before])
      this.pins.changed()
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
    this.#remembered.delete(digest)
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
  async removeHidden(entries: readonly Entry[]): Promise<void> {
    const digests = entries.map(({ digest }) => digest)
    this.#discount(entries)
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

  async *list(): AsyncGenerator<Entry> {
    for await (const [key, text] of pages(this.#database, keysUnder('blob'))) {
      const digest = parseDigest(key.slice(key.indexOf(SEPARATOR) + 1))
      if (digest === undefined || this.#hidden.has(digest)) continue
      const entry = decodeEntry(digest, text)
      if (entry !== undefined) yield entry
    }
  }

  async children(manifest: Digest): Promise<readonly Digest[]> {
    const text: string | undefined = await this.#database.get(childrenKey(manifest))
    if (text === undefined) return []
    const parsed = v.safeParse(StoredDigests, parseJson(text))
    return parsed.success ? parsed.output.flatMap((each) => parseDigest(each) ?? []) : []
  }

  async marks(digest: Digest): Promise<Uint8Array | undefined> {
    if ((await this.get(digest)) === undefined) return undefined
    return this.#database.get<string, Uint8Array>(marksKey(digest), { valueEncoding: 'view' })
  }

  async referrersOf(subject: Digest): Promise<readonly Digest[]> {
    const keys = await this.#database.keys(keysUnder('referrer', subject)).all()
    return keys.flatMap((key) => parseDigest(key.slice(key.lastIndexOf(SEPARATOR) + 1)) ?? [])
  }

  /** `docker.io/library/alpine`: where it was seen, in ASCII order. */
  async holders(digest: Digest): Promise<readonly string[]> {
    const keys = await this.#database.keys(keysUnder('holder', digest)).all()
    return keys.map((key) => key.slice(key.lastIndexOf(SEPARATOR) + 1))
  }

  async #read(digest: Digest): Promise<Entry | undefined> {
    const text: string | undefined = await this.#database.get(blobKey(digest))
    return text === undefined ? undefined : decodeEntry(digest, text)
  }

  async #removeAll(
    digests: readonly Digest[],
    entries: readonly (Entry | undefined)[],
    { sync, isGone }: { sync: boolean; isGone: boolean },
  ): Promise<void> {
    const places = await this.line.places(entries)
    const batch = this.#database.batch()
    for (const [at, digest] of digests.entries()) {
      this.#remembered.delete(digest)
      batch.del(blobKey(digest)).del(childrenKey(digest)).del(marksKey(digest))
      if (entries[at]?.kind !== 'blob') await this.needs.leave(batch, digest)
      if (isGone) await this.#leaveHolders(batch, digest)
      this.line.leave(batch, digest, places[at])
    }
    this.#removals += 1
    await batch.write({ sync })
    // Also what was read meanwhile.
    this.#removals += 1
    for (const digest of digests) this.#remembered.delete(digest)
  }

  /** Kept for what is gone, they would only ever become more. */
  async #leaveHolders(changes: { del(key: string): unknown }, digest: Digest): Promise<void> {
    const { gte: start, lt } = keysUnder('holder', digest)
    let gte = start
    for (let isMore = true; isMore; ) {
      const keys = await this.#database.keys({ gte, lt, limit: FEW }).all()
      for (const key of keys) changes.del(key)
      isMore = keys.length === FEW
      // The first key after the last one.
      gte = `${keys.at(-1)}${SEPARATOR}`
    }
  }

  #discount(entries: readonly Entry[]): void {
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
export function putSeen(
  batch: { put(key: string, value: string): unknown },
  repository: Repository,
  digest: Digest,
): void {
  const key = repositoryKey(repository)
  batch.put(holderKey(digest, key), '')
  batch.put(`repository${SEPARATOR}${key}`, '')
}

/** Says that this repository, as `repositoryKey` writes it, has this digest. */
export function holderKey(digest: Digest, repository: string): string {
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
      const page = await iterator.nextv(PAGE)
      if (page.length === 0) return
      yield* page
    }
  } finally {
    await iterator.close()
  }
}

function decodeEntry(digest: Digest, text: string): Entry | undefined {
  const parsed = v.safeParse(StoredEntry, parseJson(text))
  if (!parsed.success) return undefined
  const { size, kind, mediaType, storedAt, origin } = parsed.output
  return { digest, size, kind, mediaType, storedAt, origin }
}
