import { type Digest, parseDigest } from '../../oci/digest.ts'
import { type Database, keysUnder, SEPARATOR } from './database.ts'

/** What stands in the line. */
export interface Stand {
  readonly digest: Digest
  readonly place: number
  readonly key: string
}

/** What is to be known of a blob to give it a place. */
export interface Placed {
  readonly digest: Digest
  readonly size: number
  readonly kind: 'manifest' | 'blob'
  readonly storedAt: number
}

/** Where blobs are looked up to know their place. */
export interface Places {
  list(): AsyncIterable<Placed>
  getMany(digests: readonly Digest[]): Promise<readonly (Placed | undefined)[]>
}

/** Of a batch. */
interface Changes {
  put(key: string, value: string): unknown
  del(key: string): unknown
}

/**
 * A manifest stands in the line so far behind when it was last used. It costs next to nothing, and without it nobody
 * knows what the image needs: the blobs that were pulled along with it go first, and it goes when its turn comes.
 */
const MANIFEST_MS = 24 * 60 * 60 * 1000
const SMALL_BYTES = 256 * 1024
/** A clock that was wrong may have left later times than this behind. */
const FUTURE_MS = 60 * 60 * 1000
const PAGE = 1000
/** Says that every blob of this index has a place; those of the first version had none. */
const WHOLE = 'idle'

/**
 * All stored blobs in the order in which they may go, the one that was not used for longest first. It is kept in the
 * index, as a key that begins with the place, so that it needs no memory and no search. The place follows from the entry
 * and from `used!<digest>`, the time of the last use if it was used since it was stored: a key that does not agree with
 * them, left by changes at the same time, says nothing and is cleared away when it is met.
 */
export class Line {
  readonly #database: Database
  readonly #blobs: Places
  #whole: Promise<void> | undefined
  /** What stands before this was looked at, and stays: it is not looked at again with every blob that goes. */
  #passed = lowest()

  constructor(database: Database, blobs: Places) {
    this.#database = database
    this.#blobs = blobs
  }

  /** Resolves when every blob has its place. Until then no use is written, and nothing goes. */
  whole(): Promise<void> {
    this.#whole ??= this.#makeWhole().catch((error: unknown) => {
      this.#whole = undefined
      throw error
    })
    return this.#whole
  }

  /** When they were last used; undefined: not since they were stored. */
  async times(digests: readonly Digest[]): Promise<(number | undefined)[]> {
    const texts: (string | undefined)[] = await this.#database.getMany(digests.map(usedKey))
    return texts.map(timeOf)
  }

  /** Where they stand, given what is known of them; undefined for what is not here. */
  async places(blobs: readonly (Placed | undefined)[]): Promise<(number | undefined)[]> {
    const here = blobs.filter((blob) => blob !== undefined)
    const times = await this.times(here.map(({ digest }) => digest))
    let next = 0
    return blobs.map((blob) => blob && placeOf(blob, times[next++] ?? blob.storedAt))
  }

  /** Gives a blob its place when it is stored; `before`: the one it had. */
  enter(changes: Changes, blob: Placed, before: number | undefined): void {
    changes.del(usedKey(blob.digest))
    this.#place(changes, blob, blob.storedAt, before)
  }

  /** For blobs that were used: their places move. Nothing for those that are not here. */
  async move(uses: ReadonlyMap<Digest, number>): Promise<void> {
    const blobs = await this.#blobs.getMany([...uses.keys()])
    const places = await this.places(blobs)
    const batch = this.#database.batch()
    for (const [at, blob] of blobs.entries()) {
      const time = blob && uses.get(blob.digest)
      if (blob === undefined || time === undefined) continue
      batch.put(usedKey(blob.digest), String(time))
      this.#place(batch, blob, time, places[at])
    }
    await batch.write()
  }

  leave(changes: Changes, digest: Digest, before: number | undefined): void {
    changes.del(usedKey(digest))
    if (before !== undefined) changes.del(placeKey(digest, before))
  }

  /** The next ones that were not passed yet, the first to go first. */
  async next(count: number): Promise<Stand[]> {
    const { lt } = keysUnder('idle')
    const keys = await this.#database.keys({ gt: this.#passed, lt, limit: count }).all()
    return keys.flatMap((key) => standAt(key) ?? [])
  }

  pass(stand: Stand): void {
    this.#passed = stand.key
  }

  /** Begins at the first again: something that was passed may go now. */
  rewind(): void {
    this.#passed = lowest()
  }

  /** Clears away keys that say nothing true. */
  async clear(stands: readonly Stand[]): Promise<void> {
    if (stands.length > 0) await this.#database.batch(stands.map(({ key }) => ({ type: 'del', key })))
  }

  /** Gives every blob its place: for an index that has none, or has lost some. */
  async complete(): Promise<void> {
    let page: Placed[] = []
    const placePage = async (): Promise<void> => {
      const times = await this.times(page.map(({ digest }) => digest))
      const keys = page.map((blob, at) => placeKey(blob.digest, placeOf(blob, times[at] ?? blob.storedAt)))
      await this.#database.batch(keys.map((key) => ({ type: 'put', key, value: '' })))
      page = []
    }
    for await (const blob of this.#blobs.list()) {
      page.push(blob)
      if (page.length === PAGE) await placePage()
    }
    await placePage()
    await this.#database.put(WHOLE, '1')
    this.rewind()
  }

  async #makeWhole(): Promise<void> {
    const said: string | undefined = await this.#database.get(WHOLE)
    if (said === undefined) await this.complete()
    await this.#mendFuture()
  }

  /** What was used in the future, when the clock was wrong, counts as used now: else it would never go. */
  async #mendFuture(): Promise<void> {
    const now = Date.now()
    const { lt } = keysUnder('idle')
    const gte = placeKey('', now + MANIFEST_MS + FUTURE_MS)
    for (;;) {
      const keys = await this.#database.keys({ gte, lt, limit: PAGE }).all()
      if (keys.length === 0) return
      const stands = keys.flatMap((key) => standAt(key) ?? [])
      await this.move(new Map(stands.map(({ digest }) => [digest, now])))
      // Those that have moved are not there any more; the others said nothing true.
      await this.#database.batch(keys.map((key) => ({ type: 'del', key })))
    }
  }

  #place(changes: Changes, blob: Placed, time: number, before: number | undefined): void {
    const key = placeKey(blob.digest, placeOf(blob, time))
    if (before !== undefined) changes.del(placeKey(blob.digest, before))
    changes.put(key, '')
    if (key <= this.#passed) this.rewind()
  }
}

function placeOf({ kind, size }: Placed, time: number): number {
  const later = kind === 'manifest' && size <= SMALL_BYTES ? MANIFEST_MS : 0
  return Math.max(0, Math.floor(time) + later)
}

function usedKey(digest: Digest): string {
  return `used${SEPARATOR}${digest}`
}

function placeKey(digest: string, place: number): string {
  // As many digits as the largest safe integer has, so that keys are in the order of their numbers.
  return ['idle', String(place).padStart(16, '0'), digest].join(SEPARATOR)
}

function lowest(): string {
  return keysUnder('idle').gte
}

function standAt(key: string): Stand | undefined {
  const [, place, text = ''] = key.split(SEPARATOR)
  const digest = parseDigest(text)
  return digest === undefined ? undefined : { digest, place: Number(place), key }
}

function timeOf(text: string | undefined): number | undefined {
  const time = Number(text)
  return text === undefined || !Number.isSafeInteger(time) ? undefined : time
}
