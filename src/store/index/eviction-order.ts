import { type Digest, parseDigest } from '../../oci/digest.ts'
import { type Database, keysUnder, SEPARATOR } from './database.ts'

/** What stands in the line. */
export interface RankedBlob {
  readonly digest: Digest
  readonly rank: number
  readonly key: string
}

/** What is to be known of a blob to give it a place. */
export interface Rankable {
  readonly digest: Digest
  readonly size: number
  readonly kind: 'manifest' | 'blob'
  readonly storedAt: number
}

/** Where blobs are looked up to know their place. */
export interface RankableBlobs {
  list(): AsyncIterable<Rankable>
  getMany(digests: readonly Digest[]): Promise<readonly (Rankable | undefined)[]>
}

/** Of a batch. */
interface BatchChanges {
  put(key: string, value: string): unknown
  del(key: string): unknown
}

/**
 * A manifest stands in the line so far behind when it was last used. It costs next to nothing, and without it nobody
 * knows what the image needs: the blobs that were pulled along with it go first, and it goes when its turn comes.
 */
const MANIFEST_BONUS_MS = 24 * 60 * 60 * 1000
const SMALL_MANIFEST_BYTES = 256 * 1024
/** A clock that was wrong may have left later times than this behind. */
const CLOCK_TOLERANCE_MS = 60 * 60 * 1000
const PAGE_SIZE = 1000
/** Says that every blob of this index has a place; those of the first version had none. */
const COMPLETE_KEY = 'idle'

/**
 * All stored blobs in the order in which they may go, the one that was not used for longest first. It is kept in the
 * index, as a key that begins with the place, so that it needs no memory and no search. The place follows from the entry
 * and from `used!<digest>`, the time of the last use if it was used since it was stored: a key that does not agree with
 * them, left by changes at the same time, says nothing and is cleared away when it is met.
 */
export class EvictionOrder {
  readonly #database: Database
  readonly #blobs: RankableBlobs
  #completion: Promise<void> | undefined
  /** What stands before this was looked at, and stays: it is not looked at again with every blob that goes. */
  #passed = lowestKey()

  constructor(database: Database, blobs: RankableBlobs) {
    this.#database = database
    this.#blobs = blobs
  }

  /** Resolves when every blob has its place. Until then no use is written, and nothing goes. */
  ensureComplete(): Promise<void> {
    this.#completion ??= this.#ensureComplete().catch((error: unknown) => {
      this.#completion = undefined
      throw error
    })
    return this.#completion
  }

  /** When they were last used; undefined: not since they were stored. */
  async lastUses(digests: readonly Digest[]): Promise<(number | undefined)[]> {
    const texts: (string | undefined)[] = await this.#database.getMany(digests.map(usedKey))
    return texts.map(timeOf)
  }

  /** Where they stand, given what is known of them; undefined for what is not here. */
  async ranks(blobs: readonly (Rankable | undefined)[]): Promise<(number | undefined)[]> {
    const here = blobs.filter((blob) => blob !== undefined)
    const times = await this.lastUses(here.map(({ digest }) => digest))
    let next = 0
    return blobs.map((blob) => blob && rankOf(blob, times[next++] ?? blob.storedAt))
  }

  /** Gives a blob its place when it is stored; `before`: the one it had. */
  add(changes: BatchChanges, blob: Rankable, before: number | undefined): void {
    changes.del(usedKey(blob.digest))
    this.#putRank(changes, blob, blob.storedAt, before)
  }

  /** For blobs that were used: their places move. Nothing for those that are not here. */
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

  /** The next ones that were not passed yet, the first to go first. */
  async next(count: number): Promise<RankedBlob[]> {
    const { lt } = keysUnder('idle')
    const keys = await this.#database.keys({ gt: this.#passed, lt, limit: count }).all()
    return keys.flatMap((key) => rankedBlobOf(key) ?? [])
  }

  pass(stand: RankedBlob): void {
    this.#passed = stand.key
  }

  /** Begins at the first again: something that was passed may go now. */
  rewind(): void {
    this.#passed = lowestKey()
  }

  /** Clears away keys that say nothing true. */
  async removeStale(stands: readonly RankedBlob[]): Promise<void> {
    if (stands.length > 0) await this.#database.batch(stands.map(({ key }) => ({ type: 'del', key })))
  }

  /** Gives every blob its place: for an index that has none, or has lost some. */
  async rankAll(): Promise<void> {
    let page: Rankable[] = []
    const placePage = async (): Promise<void> => {
      const times = await this.lastUses(page.map(({ digest }) => digest))
      const keys = page.map((blob, at) => rankKey(blob.digest, rankOf(blob, times[at] ?? blob.storedAt)))
      await this.#database.batch(keys.map((key) => ({ type: 'put', key, value: '' })))
      page = []
    }
    for await (const blob of this.#blobs.list()) {
      page.push(blob)
      if (page.length === PAGE_SIZE) await placePage()
    }
    await placePage()
    await this.#database.put(COMPLETE_KEY, '1')
    this.rewind()
  }

  async #ensureComplete(): Promise<void> {
    const said: string | undefined = await this.#database.get(COMPLETE_KEY)
    if (said === undefined) await this.rankAll()
    await this.#correctFutureUses()
  }

  /** What was used in the future, when the clock was wrong, counts as used now: else it would never go. */
  async #correctFutureUses(): Promise<void> {
    const now = Date.now()
    const { lt } = keysUnder('idle')
    const gte = rankKey('', now + MANIFEST_BONUS_MS + CLOCK_TOLERANCE_MS)
    for (;;) {
      const keys = await this.#database.keys({ gte, lt, limit: PAGE_SIZE }).all()
      if (keys.length === 0) return
      const stands = keys.flatMap((key) => rankedBlobOf(key) ?? [])
      await this.updateUses(new Map(stands.map(({ digest }) => [digest, now])))
      // Those that have moved are not there any more; the others said nothing true.
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
  // As many digits as the largest safe integer has, so that keys are in the order of their numbers.
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
