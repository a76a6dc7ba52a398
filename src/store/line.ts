import { type Digest, parseDigest } from '../oci/digest.ts'
import { type Database, keysUnder, SEPARATOR } from './database.ts'

/** When a blob was last used, and its place in the line: from when on it may go before one that was used then. */
export interface Use {
  readonly time: number
  readonly place: number
}

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
 * index, as a key that begins with the place, so that it needs no memory and no search. A key that is left by changes at
 * the same time does no harm: only the one that agrees with `used` counts.
 */
export class Line {
  readonly #database: Database
  #list: (() => AsyncIterable<Placed>) | undefined
  #whole: Promise<void> | undefined
  /** What stands before this was looked at, and stays: it is not looked at again with every blob that goes. */
  #passed = lowest()

  constructor(database: Database) {
    this.#database = database
  }

  /** Where blobs are found that have no place yet. */
  completeFrom(list: () => AsyncIterable<Placed>): void {
    this.#list = list
  }

  /** Resolves when every blob has its place. Until then no use is written, and nothing goes. */
  whole(): Promise<void> {
    this.#whole ??= this.#makeWhole().catch((error: unknown) => {
      this.#whole = undefined
      throw error
    })
    return this.#whole
  }

  async uses(digests: readonly Digest[]): Promise<(Use | undefined)[]> {
    const texts: (string | undefined)[] = await this.#database.getMany(digests.map(usedKey))
    return texts.map(useOf)
  }

  /** Gives a blob its place when it is stored. */
  enter(changes: Changes, blob: Placed, before: Use | undefined): void {
    this.#place(changes, blob.digest, useAt(blob, blob.storedAt), before)
  }

  /** Moves what is in the line already. */
  move(changes: Changes, digest: Digest, time: number, before: Use): void {
    this.#place(changes, digest, { time, place: time + before.place - before.time }, before)
  }

  leave(changes: Changes, digest: Digest, before: Use | undefined): void {
    changes.del(usedKey(digest))
    if (before !== undefined) changes.del(placeKey(digest, before.place))
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

  /** Clears away keys that say nothing true any more. */
  async forget(stands: readonly Stand[]): Promise<void> {
    if (stands.length === 0) return
    await this.#database.batch(stands.map(({ key }) => ({ type: 'del' as const, key })))
  }

  /** Gives every blob its place again: for an index that has lost some. */
  async complete(): Promise<void> {
    const now = Date.now()
    let page: Placed[] = []
    const placePage = async (): Promise<void> => {
      const uses = await this.uses(page.map(({ digest }) => digest))
      const batch = this.#database.batch()
      for (const [at, blob] of page.entries()) {
        const before = uses[at]
        this.#place(batch, blob.digest, useAt(blob, Math.min(before?.time ?? blob.storedAt, now)), before)
      }
      await batch.write()
      page = []
    }
    for await (const blob of this.#list?.() ?? []) {
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
    else await this.#mendFuture()
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
      const uses = await this.uses(stands.map(({ digest }) => digest))
      const batch = this.#database.batch()
      for (const key of keys) batch.del(key)
      for (const [at, { digest, place }] of stands.entries()) {
        const use = uses[at]
        if (use?.place === place) this.move(batch, digest, now, use)
      }
      await batch.write()
    }
  }

  #place(changes: Changes, digest: Digest, { time, place }: Use, before: Use | undefined): void {
    const key = placeKey(digest, place)
    if (before !== undefined) changes.del(placeKey(digest, before.place))
    changes.put(key, '')
    changes.put(usedKey(digest), `${time} ${place}`)
    if (key <= this.#passed) this.rewind()
  }
}

function useAt({ kind, size }: Placed, time: number): Use {
  return { time, place: kind === 'manifest' && size <= SMALL_BYTES ? time + MANIFEST_MS : time }
}

function usedKey(digest: Digest): string {
  return `used${SEPARATOR}${digest}`
}

function placeKey(digest: string, place: number): string {
  // As many digits as the largest safe integer has, so that keys are in the order of their numbers.
  return ['idle', String(Math.max(0, place)).padStart(16, '0'), digest].join(SEPARATOR)
}

function lowest(): string {
  return keysUnder('idle').gte
}

function standAt(key: string): Stand | undefined {
  const [, place, text = ''] = key.split(SEPARATOR)
  const digest = parseDigest(text)
  return digest === undefined ? undefined : { digest, place: Number(place), key }
}

/** The first version wrote the time alone. */
function useOf(text: string | undefined): Use | undefined {
  if (text === undefined) return undefined
  const [time = Number.NaN, place = time] = text.split(' ').map(Number)
  return Number.isSafeInteger(time) && Number.isSafeInteger(place) ? { time, place } : undefined
}
