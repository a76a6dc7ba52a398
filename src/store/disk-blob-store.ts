import { randomBytes } from 'node:crypto'
import { publish } from '../observe/events.ts'
import { type Digest, digestFrom } from '../oci/digest.ts'
import type { BlobFacts, BlobStore, Incoming } from '../ports/blob-store.ts'
import type { Content } from '../ports/content.ts'
import type { ContentReceiver, UnknownContent } from '../ports/content-receiver.ts'
import { Failure } from '../ports/failure.ts'
import type { Want } from '../ports/source.ts'
import { diskFailure, ignore } from './files/layout.ts'
import { OpenBlobs } from './files/open-blobs.ts'
import { StoredContent } from './files/stored-content.ts'
import type { BlobEntry } from './index/blob-entry.ts'
import type { LastUse } from './index/last-use.ts'
import type { EvictionReason, Freed } from './space/budget-types.ts'
import { DiskIncoming } from './writing/incoming.ts'
import type { StoreParts } from './writing/store-parts.ts'

/** How many entries share one lookup of their last use. */
const PAGE_SIZE = 500

/** The blob store on disk. */
export class DiskBlobStore implements BlobStore, ContentReceiver {
  readonly openBlobs = new OpenBlobs()
  readonly #parts: StoreParts
  readonly #lastUse: LastUse
  readonly #dropListeners = new Set<(digest: Digest) => void>()
  readonly #incoming = new Map<Digest, Promise<DiskIncoming>>()
  /** Digests that are being dropped: they may be received again only after that. */
  readonly #dropping = new Map<Digest, Promise<unknown>>()
  /** Digests under which received contents are just being published, and how many for each. */
  readonly #claims = new Map<Digest, number>()
  #closing = false

  constructor(parts: StoreParts, lastUse: LastUse) {
    this.#parts = parts
    this.#lastUse = lastUse
  }

  /** Calls `listener` with each stored blob that is dropped. Returns the function that ends this. */
  onDropped(listener: (digest: Digest) => void): () => void {
    this.#dropListeners.add(listener)
    return () => this.#dropListeners.delete(listener)
  }

  open(digest: Digest): Promise<Content | undefined> {
    return this.#read(digest, () => this.#lastUse.mark(digest))
  }

  /** Opens a blob without marking it as used: for upkeep and reports. */
  peek(digest: Digest): Promise<Content | undefined> {
    return this.#read(digest, () => {})
  }

  touch(digest: Digest): void {
    this.#lastUse.mark(digest)
  }

  /** The blob is open, being received or being dropped. */
  isBusy(digest: Digest): boolean {
    return (
      this.openBlobs.has(digest) ||
      this.#incoming.has(digest) ||
      this.#claims.has(digest) ||
      this.#dropping.has(digest)
    )
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
      throw diskFailure(`cannot look up the checkpoints of ${digest}`, cause)
    }
  }

  async referencingManifests(digest: Digest, most: number): Promise<readonly Digest[]> {
    try {
      return await this.#parts.index.referencedBy.manifestsOf(digest, most)
    } catch (cause) {
      throw diskFailure(`cannot look up the manifests that reference ${digest}`, cause)
    }
  }

  async begin(want: Want): Promise<Incoming> {
    const { digest } = want
    if (this.#closing) throw new Failure('stopping', 'the store is closed')
    if (this.#incoming.has(digest)) throw new Failure('disk', `${digest} is already being received`)
    const beginning = this.#begin(want)
    this.#incoming.set(digest, beginning)
    try {
      return await beginning
    } catch (error) {
      this.#incoming.delete(digest)
      throw error
    }
  }

  /** The content lies under a provisional digest until its own is known. */
  async receive({ kind, repository, algorithm }: UnknownContent): Promise<Incoming> {
    if (this.#closing) throw new Failure('stopping', 'the store is closed')
    const digest = digestFrom(algorithm, randomBytes(algorithm === 'sha256' ? 32 : 64).toString('hex'))
    const beginning = DiskIncoming.begin(
      { kind, repository, digest },
      this.#parts,
      () => this.#incoming.delete(digest),
      (found) => this.#claim(found),
    )
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

  /** Closes all incoming contents; their bytes stay as partials. */
  async close(): Promise<void> {
    this.#closing = true
    await Promise.allSettled([...this.#incoming.values()].map(async (incoming) => (await incoming).close()))
  }

  /** Drops the blobs that are not busy. */
  async drop(entries: readonly BlobEntry[], reason: EvictionReason): Promise<Freed> {
    return this.#drop(
      entries.filter(({ digest }) => !this.isBusy(digest)),
      reason,
    )
  }

  /** Drops a blob even while it is open: its readers keep the file. False: it was not stored. */
  async remove(digest: Digest): Promise<boolean> {
    const entry = await this.#parts.index.get(digest)
    if (entry === undefined || this.#dropping.has(digest)) return false
    await this.#drop([entry], 'removed')
    return true
  }

  /** Removes a partial. False: a transfer has resumed it. */
  async dropPartial(digest: Digest): Promise<boolean> {
    if (this.isBusy(digest)) return false
    await this.#whileDropping([digest], this.#parts.partials.remove(digest))
    return true
  }

  /**
   * Removes files before entries. A crash between the two leaves an entry without a file, which the next start drops by
   * comparing names. In the opposite order a crash would leave an unknown file, which the next start would hash and adopt.
   */
  async #drop(entries: readonly BlobEntry[], reason: EvictionReason): Promise<Freed> {
    if (entries.length === 0) return { blobs: 0, bytes: 0 }
    const digests = entries.map(({ digest }) => digest)
    for (const digest of digests) this.#parts.index.hide(digest)
    return this.#whileDropping(digests, this.#remove(entries, reason))
  }

  async #remove(entries: readonly BlobEntry[], reason: EvictionReason): Promise<Freed> {
    const removed: BlobEntry[] = []
    try {
      for (const entry of entries) {
        await this.#parts.blobFiles.remove(entry.digest)
        this.#lastUse.forget(entry.digest)
        removed.push(entry)
      }
    } finally {
      for (const { digest } of entries.slice(removed.length)) this.#parts.index.show(digest)
      // On a full disk the index may take no writes, and files must be removed all the same.
      await this.#parts.index.removeHidden(removed).catch(() => {})
      for (const { digest, size } of removed) {
        this.#notifyDropped(digest)
        publish('store.evicted', { digest, size, reason })
      }
    }
    return { blobs: removed.length, bytes: removed.reduce((sum, { size }) => sum + size, 0) }
  }

  async #whileDropping<Result>(digests: readonly Digest[], work: Promise<Result>): Promise<Result> {
    for (const digest of digests) this.#dropping.set(digest, work)
    try {
      return await work
    } finally {
      for (const digest of digests) this.#dropping.delete(digest)
    }
  }

  /** Keeps a digest from being dropped until the claim is ended. */
  async #claim(digest: Digest): Promise<() => void> {
    while (this.#dropping.has(digest)) await this.#dropping.get(digest)?.catch(() => {})
    this.#claims.set(digest, (this.#claims.get(digest) ?? 0) + 1)
    return () => {
      const others = (this.#claims.get(digest) ?? 1) - 1
      if (others > 0) this.#claims.set(digest, others)
      else this.#claims.delete(digest)
    }
  }

  async #begin(want: Want): Promise<DiskIncoming> {
    const { digest } = want
    await this.#dropping.get(digest)?.catch(() => {})
    return DiskIncoming.begin(want, this.#parts, () => this.#incoming.delete(digest))
  }

  async #read(digest: Digest, onOpened: () => void): Promise<Content | undefined> {
    const { index } = this.#parts
    let release = (): void => {}
    try {
      const entry = await index.get(digest)
      if (entry === undefined) return undefined
      // Eviction skips the blob from now on, unless its removal has begun.
      release = this.openBlobs.add(digest, entry.size)
      const content = await this.#open(entry, release)
      if (content === undefined) release()
      else onOpened()
      return content
    } catch (cause) {
      release()
      throw diskFailure(`cannot open ${digest}`, cause)
    }
  }

  async #open(entry: BlobEntry, onClosed: () => void): Promise<Content | undefined> {
    const { digest, size } = entry
    const { blobFiles, index } = this.#parts
    let file = await blobFiles.open(digest)
    if (file === undefined) {
      // The blob may have been dropped meanwhile, and may even be stored again.
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

  /** Drops a blob whose file is not what was stored. It is fetched again at the next request. */
  async dropCorrupt(digest: Digest, found: string): Promise<void> {
    this.#lastUse.forget(digest)
    // On a full disk the entry is only hidden, which is enough until the next start.
    await this.#parts.index.remove(digest).catch(() => {})
    this.#notifyDropped(digest)
    publish('verify.failed', { digest, found, source: 'disk', sourceKind: 'disk' })
  }

  #notifyDropped(digest: Digest): void {
    for (const listener of this.#dropListeners) listener(digest)
  }

  async #withUse(entries: readonly BlobEntry[]): Promise<BlobFacts[]> {
    const times = await this.#lastUse.of(entries.map(({ digest }) => digest))
    return entries.map((entry, at) => ({ ...entry, lastUsedAt: times[at] ?? entry.storedAt }))
  }
}
