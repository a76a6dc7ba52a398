import { type Digest, parseDigest } from '../../oci/digest.ts'
import { type Database, keysUnder, SEPARATOR } from '../database/database.ts'

/** A blob in the order of eviction. */
export interface RankedBlob {
  readonly digest: Digest
  /** The time by which blobs are ordered, in milliseconds since the epoch. */
  readonly rank: number
  readonly key: string
}

/** What the rank of a blob depends on, besides its last use. */
export interface Rankable {
  readonly digest: Digest
  readonly size: number
  readonly kind: 'manifest' | 'blob'
  readonly storedAt: number
}

/** The stored blobs that are ranked. */
export interface RankableBlobs {
  list(): AsyncIterable<Rankable>
  getMany(digests: readonly Digest[]): Promise<readonly (Rankable | undefined)[]>
}

interface BatchChanges {
  put(key: string, value: string): unknown
  del(key: string): unknown
}

/**
 * A small manifest is ranked as if it had been used a day later. It costs next to nothing, and without it the content of
 * the image is unknown: the blobs that were pulled with it are evicted first.
 */
const MANIFEST_BONUS_MS = 24 * 60 * 60 * 1000
const SMALL_MANIFEST_BYTES = 256 * 1024
/** A use that is more than an hour in the future was recorded while the clock was wrong. */
const CLOCK_TOLERANCE_MS = 60 * 60 * 1000
const PAGE_SIZE = 1000
/** This key says that every blob of the index is ranked. Indexes of the first version had no ranks. */
const COMPLETE_KEY = 'idle'

/**
 * All stored blobs in the order in which they may be evicted, the blob that was not used for longest first. The index holds
 * the order, in keys that begin with the rank, so that it needs no memory and no search. The rank follows from the entry and
 * from `used!<digest>`, the time of the last use if the blob was used since it was stored. Concurrent changes may leave a key
 * that does not agree with them: such a key is stale, and is removed when eviction meets it.
 */
export class EvictionOrder {
  readonly #database: Database
  readonly #blobs: RankableBlobs
  #completion: Promise<void> | undefined
  /** Eviction has looked at all blobs up to this key: those that stay are not looked at again for each evicted blob. */
  #passed = lowestKey()

  constructor(database: Database, blobs: RankableBlobs) {
    this.#database = database
    this.#blobs = blobs
  }

  /** Resolves when every blob is ranked. Until then no use is written, and nothing is evicted. */
  ensureComplete(): Promise<void> {
    this.#completion ??= this.#ensureComplete().catch((error: unknown) => {
      this.#completion = undefined
      throw error
    })
    return this.#completion
  }

  /** Gives the times of the last use; undefined for a blob that was not used since it was stored. */
  async lastUses(digests: readonly Digest[]): Promise<(number | undefined)[]> {
    const texts: (string | undefined)[] = await this.#database.getMany(digests.map(usedKey))
    return texts.map(timeOf)
  }

  /** Gives the ranks of blobs; undefined for a blob that is not stored. */
  async ranks(blobs: readonly (Rankable | undefined)[]): Promise<(number | undefined)[]> {
    const stored = blobs.filter((blob) => blob !== undefined)
    const times = await this.lastUses(stored.map(({ digest }) => digest))
    let next = 0
    return blobs.map((blob) => blob && rankOf(blob, times[next++] ?? blob.storedAt))
  }

  /** Ranks a blob that is being stored. `before`: the rank that it had. */
  add(changes: BatchChanges, blob: Rankable, before: number | undefined): void {
    changes.del(usedKey(blob.digest))
    this.#putRank(changes, blob, blob.storedAt, before)
  }

  /** Writes when blobs were used, and ranks them anew. Skips blobs that are not stored. */
  async updateUses(uses: ReadonlyMap<Digest, number>): Promise<void> {
    const blobs = await this.#blobs.getMany([...uses.keys()])
    const places = await this.ranks(blobs)
    const batch = this.#database.batch()
    for (const [at, blob] of blobs.entries()) {
      const time = blob && uses.get(blob.digest)
      if (blob === undefined || time === undefined) continue
      batch.put(usedKey(blob.digest), String(time))
      this.#putRank(batch, blob, time, places[at])
    }
    await batch.write()
  }

  remove(changes: BatchChanges, digest: Digest, before: number | undefined): void {
    changes.del(usedKey(digest))
    if (before !== undefined) changes.del(rankKey(digest, before))
  }

  /** Gives the next blobs that were not passed yet, in order. */
  async next(count: number): Promise<RankedBlob[]> {
    const { lt } = keysUnder('idle')
    const keys = await this.#database.keys({ gt: this.#passed, lt, limit: count }).all()
    return keys.flatMap((key) => rankedBlobOf(key) ?? [])
  }

  pass(blob: RankedBlob): void {
    this.#passed = blob.key
  }

  /** Begins at the first blob again: a blob that was passed may be evictable now. */
  rewind(): void {
    this.#passed = lowestKey()
  }

  /** Removes stale keys. */
  async removeStale(ranked: readonly RankedBlob[]): Promise<void> {
    if (ranked.length > 0) await this.#database.batch(ranked.map(({ key }) => ({ type: 'del', key })))
  }

  /** Ranks every blob: for an index that has no ranks, or has lost some. */
  async rankAll(): Promise<void> {
    let page: Rankable[] = []
    const rankPage = async (): Promise<void> => {
      const times = await this.lastUses(page.map(({ digest }) => digest))
      const keys = page.map((blob, at) => rankKey(blob.digest, rankOf(blob, times[at] ?? blob.storedAt)))
      await this.#database.batch(keys.map((key) => ({ type: 'put', key, value: '' })))
      page = []
    }
    for await (const blob of this.#blobs.list()) {
      page.push(blob)
      if (page.length === PAGE_SIZE) await rankPage()
    }
    await rankPage()
    await this.#database.put(COMPLETE_KEY, '1')
    this.rewind()
  }

  async #ensureComplete(): Promise<void> {
    const marker: string | undefined = await this.#database.get(COMPLETE_KEY)
    if (marker === undefined) await this.rankAll()
    await this.#correctFutureUses()
  }

  /** Uses that lie in the future count as uses of now: such a blob would never be evicted otherwise. */
  async #correctFutureUses(): Promise<void> {
    const now = Date.now()
    const { lt } = keysUnder('idle')
    const gte = rankKey('', now + MANIFEST_BONUS_MS + CLOCK_TOLERANCE_MS)
    for (;;) {
      const keys = await this.#database.keys({ gte, lt, limit: PAGE_SIZE }).all()
      if (keys.length === 0) return
      const ranked = keys.flatMap((key) => rankedBlobOf(key) ?? [])
      await this.updateUses(new Map(ranked.map(({ digest }) => [digest, now])))
      // Keys of blobs that were ranked anew are gone already; the other keys are stale.
      await this.#database.batch(keys.map((key) => ({ type: 'del', key })))
    }
  }

  #putRank(changes: BatchChanges, blob: Rankable, time: number, before: number | undefined): void {
    const key = rankKey(blob.digest, rankOf(blob, time))
    if (before !== undefined) changes.del(rankKey(blob.digest, before))
    changes.put(key, '')
    if (key <= this.#passed) this.rewind()
  }
}

function rankOf({ kind, size }: Rankable, time: number): number {
  const later = kind === 'manifest' && size <= SMALL_MANIFEST_BYTES ? MANIFEST_BONUS_MS : 0
  return Math.max(0, Math.floor(time) + later)
}

function usedKey(digest: Digest): string {
  return `used${SEPARATOR}${digest}`
}

function rankKey(digest: string, place: number): string {
  // All ranks have as many digits as the largest safe integer: then keys sort as their numbers do.
  return ['idle', String(place).padStart(16, '0'), digest].join(SEPARATOR)
}

function lowestKey(): string {
  return keysUnder('idle').gte
}

function rankedBlobOf(key: string): RankedBlob | undefined {
  const [, place, text = ''] = key.split(SEPARATOR)
  const digest = parseDigest(text)
  return digest === undefined ? undefined : { digest, rank: Number(place), key }
}

function timeOf(text: string | undefined): number | undefined {
  const time = Number(text)
  return text === undefined || !Number.isSafeInteger(time) ? undefined : time
}
