import { publish } from '../observe/events.ts'
import type { Digest } from '../oci/digest.ts'
import type { BlobFacts, BlobStore, Incoming } from '../resolve/blob-store.ts'
import type { Content } from '../resolve/content.ts'
import { Failure } from '../resolve/failure.ts'
import type { Want } from '../resolve/source.ts'
import { StoredContent } from './content.ts'
import type { Entry } from './entries.ts'
import { DiskIncoming, type Yard } from './incoming.ts'
import type { LastUse } from './last-use.ts'
import { diskFailure, ignore } from './layout.ts'

/** How many entries are listed between two looks at when they were used. */
const PAGE = 500

/** The blob store on disk. */
export class DiskStore implements BlobStore {
  readonly #yard: Yard
  readonly #lastUse: LastUse
  readonly #incoming = new Map<Digest, Promise<DiskIncoming>>()
  #closing = false

  constructor(yard: Yard, lastUse: LastUse) {
    this.#yard = yard
    this.#lastUse = lastUse
  }

  async open(digest: Digest): Promise<Content | undefined> {
    try {
      const entry = await this.#yard.entries.get(digest)
      return entry === undefined ? undefined : await this.#open(entry)
    } catch (cause) {
      throw diskFailure(`cannot open ${digest}`, cause)
    }
  }

  async facts(digest: Digest): Promise<BlobFacts | undefined> {
    try {
      const entry = await this.#yard.entries.get(digest)
      if (entry === undefined) return undefined
      const [lastUsedAt = entry.storedAt] = await this.#lastUse.of([digest])
      return { ...entry, lastUsedAt }
    } catch (cause) {
      throw diskFailure(`cannot look up ${digest}`, cause)
    }
  }

  async begin(want: Want): Promise<Incoming> {
    const { digest } = want
    if (this.#closing) throw new Failure('stopping', 'the store is closed')
    if (this.#incoming.has(digest)) throw new Failure('disk', `${digest} is already on its way in`)
    const beginning = DiskIncoming.begin(want, this.#yard, () => this.#incoming.delete(digest))
    this.#incoming.set(digest, beginning)
    try {
      return await beginning
    } catch (error) {
      this.#incoming.delete(digest)
      throw error
    }
  }

  async *list(): AsyncGenerator<BlobFacts> {
    let page: Entry[] = []
    for await (const entry of this.#yard.entries.list()) {
      page.push(entry)
      if (page.length < PAGE) continue
      yield* await this.#withUse(page)
      page = []
    }
    yield* await this.#withUse(page)
  }

  /** Whatever is still on its way in is left as a partial. */
  async close(): Promise<void> {
    this.#closing = true
    await Promise.allSettled([...this.#incoming.values()].map(async (incoming) => (await incoming).close()))
  }

  async #open(entry: Entry): Promise<Content | undefined> {
    const { digest, size } = entry
    const file = await this.#yard.shelves.open(digest)
    if (file === undefined) {
      await this.#lose(digest, 'no file')
      return undefined
    }
    try {
      const stats = await file.stat()
      if (stats.isFile() && stats.size === size) {
        this.#lastUse.mark(digest)
        return new StoredContent(entry, file)
      }
      await this.#yard.quarantine.move(digest, this.#yard.shelves.path(digest)).catch(ignore('ENOENT'))
      await this.#lose(digest, stats.isFile() ? `${stats.size} bytes instead of ${size}` : 'not a file')
    } catch (error) {
      await file.close()
      throw error
    }
    await file.close()
    return undefined
  }

  /** What is on disk is not what was stored there: from now on it is not here, and will be fetched again. */
  async #lose(digest: Digest, found: string): Promise<void> {
    this.#lastUse.forget(digest)
    await this.#yard.entries.remove(digest)
    publish('verify.failed', { digest, found, source: 'disk', sourceKind: 'disk' })
  }

  async #withUse(entries: readonly Entry[]): Promise<BlobFacts[]> {
    const times = await this.#lastUse.of(entries.map(({ digest }) => digest))
    return entries.map((entry, at) => ({ ...entry, lastUsedAt: times[at] ?? entry.storedAt }))
  }
}
