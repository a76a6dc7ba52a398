import * as v from 'valibot'
import { type Digest, parseDigest } from '../oci/digest.ts'
import { type Repository, repositoryKey } from '../oci/repository.ts'
import type { BlobFacts } from '../resolve/blob-store.ts'
import { type Database, keysUnder, SEPARATOR } from './database.ts'

/** What the index says of a blob; when it was last used is kept apart, because that changes. */
export type Entry = Omit<BlobFacts, 'lastUsedAt'>

/** What is known of a blob when it is stored, besides the entry itself. */
export interface Ties {
  readonly references: readonly Digest[]
  readonly subject: Digest | undefined
  /** undefined for one that was found on disk: nobody knows any more who asked for it. */
  readonly repository: Repository | undefined
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

const blobKey = (digest: Digest): string => `blob${SEPARATOR}${digest}`
const childrenKey = (digest: Digest): string => `children${SEPARATOR}${digest}`

/** The index of blobs: digest → entry, manifest → children, subject → referrers, digest → repositories. */
export class Entries {
  readonly #database: Database
  readonly #remembered = new Map<Digest, Entry>()
  /** Changes of one digest wait for each other. */
  readonly #changing = new Map<Digest, Promise<unknown>>()
  #bytes = 0
  #blobs = 0

  constructor(database: Database) {
    this.#database = database
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
    const known = this.#remembered.get(digest)
    if (known !== undefined) {
      // Moved to the end: the first in the map is the one that was not needed for longest.
      this.#remembered.delete(digest)
      this.#remembered.set(digest, known)
      return known
    }
    const text: string | undefined = await this.#database.get(blobKey(digest))
    const entry = text === undefined ? undefined : decodeEntry(digest, text)
    if (entry !== undefined && !this.#changing.has(digest)) this.#remember(entry)
    return entry
  }

  /** Durable when it resolves. */
  put(entry: Entry, ties: Ties): Promise<void> {
    return this.#change(entry.digest, async () => {
      const { digest, ...value } = entry
      const before = await this.get(digest)
      const batch = this.#database.batch().put(blobKey(digest), JSON.stringify(value))
      if (ties.references.length > 0) batch.put(childrenKey(digest), JSON.stringify(ties.references))
      if (ties.subject !== undefined)
        batch.put(`referrer${SEPARATOR}${ties.subject}${SEPARATOR}${digest}`, '')
      if (ties.repository !== undefined) putSeen(batch, ties.repository, digest)
      await batch.write({ sync: true })
      this.#remember(entry)
      this.#bytes += entry.size - (before?.size ?? 0)
      if (before === undefined) this.#blobs += 1
    })
  }

  /** Forgets the blob itself. Who has seen it, and what refers to it, stays true. */
  remove(digest: Digest): Promise<void> {
    return this.#change(digest, async () => {
      const before = await this.get(digest)
      this.#remembered.delete(digest)
      await this.removeAll([digest])
      if (before === undefined) return
      this.#bytes -= before.size
      this.#blobs -= 1
    })
  }

  /** The same for many, at the start: usage is told afterwards by `count`. */
  async removeAll(digests: readonly Digest[]): Promise<void> {
    const batch = this.#database.batch()
    for (const digest of digests) batch.del(blobKey(digest)).del(childrenKey(digest)).del(usedKey(digest))
    await batch.write({ sync: true })
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
      const entry = digest === undefined ? undefined : decodeEntry(digest, text)
      if (entry !== undefined) yield entry
    }
  }

  async children(manifest: Digest): Promise<readonly Digest[]> {
    const text: string | undefined = await this.#database.get(childrenKey(manifest))
    if (text === undefined) return []
    const parsed = v.safeParse(StoredDigests, parseJson(text))
    return parsed.success ? parsed.output.flatMap((each) => parseDigest(each) ?? []) : []
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

  #remember(entry: Entry): void {
    this.#remembered.delete(entry.digest)
    this.#remembered.set(entry.digest, entry)
    if (this.#remembered.size <= REMEMBERED) return
    for (const oldest of this.#remembered.keys()) {
      this.#remembered.delete(oldest)
      return
    }
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

export function usedKey(digest: Digest): string {
  return `used${SEPARATOR}${digest}`
}

/** The two keys that say that a repository has a digest. */
export function putSeen(
  batch: { put(key: string, value: string): unknown },
  repository: Repository,
  digest: Digest,
): void {
  const key = repositoryKey(repository)
  batch.put(`holder${SEPARATOR}${digest}${SEPARATOR}${key}`, '')
  batch.put(`repository${SEPARATOR}${key}`, '')
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

/** undefined for what is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
