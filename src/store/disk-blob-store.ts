import { publish } from '../observe/events.ts'
import type { Digest } from '../oci/digest.ts'
import type { BlobFacts, BlobStore, Incoming } from '../ports/blob-store.ts'
import type { Content } from '../ports/content.ts'
import { Failure } from '../ports/failure.ts'
import type { Want } from '../ports/source.ts'
import { diskFailure, ignore } from './files/layout.ts'
import { OpenBlobs } from './files/open-blobs.ts'
import { StoredContent } from './files/stored-content.ts'
import type { BlobEntry } from './index/blob-index.ts'
import type { LastUse } from './index/last-use.ts'
import type { EvictionReason, Freed } from './space/budget-types.ts'
import { DiskIncoming } from './writing/incoming.ts'
import type { StoreParts } from './writing/store-parts.ts'

/** How many entries are listed between two looks at when they were used. */
const PAGE_SIZE = 500

/** The blob store on disk. */
export class DiskBlobStore implements BlobStore {
  readonly openBlobs = new OpenBlobs()
  readonly #parts: StoreParts
  readonly #lastUse: LastUse
  readonly #onDropped: (digest: Digest) => void
  readonly #incoming = new Map<Digest, Promise<DiskIncoming>>()
  /** What is being dropped: only after that it may come in again. */
  readonly #leaving = new Map<Digest, Promise<unknown>>()
  #closing = false

  constructor(parts: StoreParts, lastUse: LastUse, onDropped: (digest: Digest) => void) {
    this.#parts = parts
    this.#lastUse = lastUse
    this.#onDropped = onDropped
  }

  open(digest: Digest): Promise<Content | undefined> {
    return this.#read(digest, () => this.#lastUse.mark(digest))
  }

  /** The blob, opened without being marked as used: for whoever looks after the store. */
  peek(digest: Digest): Promise<Content | undefined> {
    return this.#read(digest, () => {})
  }

  touch(digest: Digest): void {
    this.#lastUse.mark(digest)
  }

  /** Somebody has it open, or it is on its way in or out. */
  isBusy(digest: Digest): boolean {
    return this.openBlobs.has(digest) || this.#incoming.has(digest) || this.#leaving.has(digest)
  }

  async facts(digest: Digest): Promise<BlobFacts | undefined> {
    try {
      const entry = await this.#parts.index.get(digest)
      if (entry === undefined) return undefined
      const [lastUsedAt = entry.storedAt] = await this.#lastUse.of([digest])
      return { ...entry, lastUsedAt }
    } catch (cause) {
      throw diskFailure(`cannot look up ${digest}`, cause)
    }
  }

  async checkpoints(digest: Digest): Promise<Uint8Array | undefined> {
    try {
      return await this.#parts.index.checkpoints(digest)
    } catch (cause) {
      throw diskFailure(`cannot look up the marks of ${digest}`, cause)
    }
  }

  async referencingManifests(digest: Digest, most: number): Promise<readonly Digest[]> {
    try {
      return await this.#parts.index.referencedBy.manifestsOf(digest, most)
    } catch (cause) {
      throw diskFailure(`cannot look up what needs ${digest}`, cause)
    }
  }

  async begin(want: Want): Promise<Incoming> {
    const { digest } = want
    if (this.#closing) throw new Failure('stopping', 'the store is closed')
    if (this.#incoming.has(digest)) throw new Failure('disk', `${digest} is already on its way in`)
    const beginning = this.#begin(want)
    this.#incoming.set(digest, beginning)
    try {
      return await beginning
    } catch (error) {
      this.#incoming.delete(digest)
      throw error
    }
  }

  async *list(): AsyncGenerator<BlobFacts> {
    let page: BlobEntry[] = []
    for await (const entry of this.#parts.index.list()) {
      page.push(entry)
      if (page.length < PAGE_SIZE) continue
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

  /** Drops those of them that are not busy. */
  async drop(entries: readonly BlobEntry[], reason: EvictionReason): Promise<Freed> {
    return this.#drop(
      entries.filter(({ digest }) => !this.isBusy(digest)),
      reason,
    )
  }

  /** Drops it even while it is being read: who reads it keeps the file. False: it was not here. */
  async remove(digest: Digest): Promise<boolean> {
    const entry = await this.#parts.index.get(digest)
    if (entry === undefined || this.#leaving.has(digest)) return false
    await this.#drop([entry], 'removed')
    return true
  }

  /** Removes what a transfer has left. False: another one goes on with it. */
  async dropPartial(digest: Digest): Promise<boolean> {
    if (this.isBusy(digest)) return false
    await this.#whileLeaving([digest], this.#parts.partials.remove(digest))
    return true
  }

  /**
   * The file goes first. A crash after that leaves an entry without a file, which the next start drops by a look at names;
   * the other way round it would leave a file that nobody knows, to be hashed and taken in again.
   */
  async #drop(entries: readonly BlobEntry[], reason: EvictionReason): Promise<Freed> {
    if (entries.length === 0) return { blobs: 0, bytes: 0 }
    const digests = entries.map(({ digest }) => digest)
    for (const digest of digests) this.#parts.index.hide(digest)
    return this.#whileLeaving(digests, this.#remove(entries, reason))
  }

  async #remove(entries: readonly BlobEntry[], reason: EvictionReason): Promise<Freed> {
    const gone: BlobEntry[] = []
    try {
      for (const entry of entries) {
        await this.#parts.blobFiles.remove(entry.digest)
        this.#lastUse.forget(entry.digest)
        gone.push(entry)
      }
    } finally {
      for (const { digest } of entries.slice(gone.length)) this.#parts.index.show(digest)
      // On a full disk the index may take no writes, and room must be made all the same.
      await this.#parts.index.removeHidden(gone).catch(() => {})
      for (const { digest, size } of gone) {
        this.#onDropped(digest)
        publish('store.evicted', { digest, size, reason })
      }
    }
    return { blobs: gone.length, bytes: gone.reduce((sum, { size }) => sum + size, 0) }
  }

  async #whileLeaving<Result>(digests: readonly Digest[], leaving: Promise<Result>): Promise<Result> {
    for (const digest of digests) this.#leaving.set(digest, leaving)
    try {
      return await leaving
    } finally {
      for (const digest of digests) this.#leaving.delete(digest)
    }
  }

  async #begin(want: Want): Promise<DiskIncoming> {
    const { digest } = want
    await this.#leaving.get(digest)?.catch(() => {})
    return DiskIncoming.begin(want, this.#parts, () => this.#incoming.delete(digest))
  }

  async #read(digest: Digest, onOpened: () => void): Promise<Content | undefined> {
    const { index } = this.#parts
    let leave = (): void => {}
    try {
      const entry = await index.get(digest)
      if (entry === undefined) return undefined
      // From here on it is not dropped, unless it was to be already.
      leave = this.openBlobs.add(digest, entry.size)
      const content = await this.#open(entry, leave)
      if (content === undefined) leave()
      else onOpened()
      return content
    } catch (cause) {
      leave()
      throw diskFailure(`cannot open ${digest}`, cause)
    }
  }

  async #open(entry: BlobEntry, onClosed: () => void): Promise<Content | undefined> {
    const { digest, size } = entry
    const { blobFiles, index } = this.#parts
    let file = await blobFiles.open(digest)
    if (file === undefined) {
      // Dropped meanwhile it is only not here; dropped and stored again it is.
      if ((await index.get(digest)) === undefined) return undefined
      file = await blobFiles.open(digest)
    }
    if (file === undefined) {
      await this.dropCorrupt(digest, 'no file')
      return undefined
    }
    try {
      const stats = await file.stat()
      if (stats.isFile() && stats.size === size) return new StoredContent(entry, file, onClosed)
      await this.#parts.quarantine
        .moveFile(digest, this.#parts.blobFiles.path(digest))
        .catch(ignore('ENOENT'))
      await this.dropCorrupt(digest, stats.isFile() ? `${stats.size} bytes instead of ${size}` : 'not a file')
    } catch (error) {
      await file.close()
      throw error
    }
    await file.close()
    return undefined
  }

  /** What is on disk is not what was stored there: from now on it is not here, and will be fetched again. */
  async dropCorrupt(digest: Digest, found: string): Promise<void> {
    this.#lastUse.forget(digest)
    // Where the disk is full it is only hidden, and that is enough.
    await this.#parts.index.remove(digest).catch(() => {})
    this.#onDropped(digest)
    publish('verify.failed', { digest, found, source: 'disk', sourceKind: 'disk' })
  }

  async #withUse(entries: readonly BlobEntry[]): Promise<BlobFacts[]> {
    const times = await this.#lastUse.of(entries.map(({ digest }) => digest))
    return entries.map((entry, at) => ({ ...entry, lastUsedAt: times[at] ?? entry.storedAt }))
  }
}
