import { randomBytes } from 'node:crypto'
import { type Digest, digestFrom } from '../oci/digest.ts'
import type { BlobFacts, BlobStore, Incoming } from '../ports/blob-store.ts'
import type { Content } from '../ports/content.ts'
import type { ContentReceiver, FileToAdopt, UnknownContent } from '../ports/content-receiver.ts'
import { Failure } from '../ports/failure.ts'
import type { StoredUpload } from '../ports/hosted/hosted-store.ts'
import type { Want } from '../ports/source.ts'
import { BlobRemoval } from './blob-removal.ts'
import { InlineContent } from './files/inline-content.ts'
import { diskFailure, ignore } from './files/layout.ts'
import { OpenBlobs } from './files/open-blobs.ts'
import { StoredContent } from './files/stored-content.ts'
import type { BlobEntry } from './index/blob-entry.ts'
import type { LastUse } from './index/last-use.ts'
import type { EvictionReason, Freed } from './space/budget-types.ts'
import { adoptFile } from './writing/file-adoption.ts'
import { DiskIncoming } from './writing/incoming.ts'
import type { StoreParts } from './writing/store-parts.ts'

/** How many entries share one lookup of their last use. */
const PAGE_SIZE = 500

/** The blob store on disk. */
export class DiskBlobStore implements BlobStore, ContentReceiver {
  readonly openBlobs = new OpenBlobs()
  readonly #parts: StoreParts
  readonly #lastUse: LastUse
  readonly #removal: BlobRemoval
  readonly #incoming = new Map<Digest, Promise<DiskIncoming>>()
  #closing = false

  constructor(parts: StoreParts, lastUse: LastUse) {
    this.#parts = parts
    this.#lastUse = lastUse
    this.#removal = new BlobRemoval(parts, lastUse)
  }

  /** Calls `listener` with each stored blob that is dropped. Returns the function that ends this. */
  onDropped(listener: (digest: Digest) => void): () => void {
    return this.#removal.onDropped(listener)
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
    return this.openBlobs.has(digest) || this.#incoming.has(digest) || this.#removal.isBusy(digest)
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
    const digest = digestFrom(algorithm, randomBytes(algorithm === 'sha256' ? 32 : 64).toString('hex'))
    return this.#beginProvisional({ kind, repository, digest }, { isUpload: false })
  }

  /** Continues an upload. Rejects with `absent` if its partial is gone. */
  async receiveUpload({ digest, repository }: StoredUpload): Promise<DiskIncoming> {
    if (this.#incoming.has(digest)) throw new Failure('disk', `the upload ${digest} is already open`)
    return this.#beginProvisional({ kind: 'blob', repository, digest }, { isUpload: true })
  }

  /** Keeps a digest from being dropped until the claim is ended. */
  claim(digest: Digest): Promise<() => void> {
    return this.#removal.claim(digest)
  }

  /** Moves a file of another program into the store. False: it cannot be moved. */
  async adoptFile(file: FileToAdopt, options: { signal: AbortSignal }): Promise<boolean> {
    if (this.#closing) throw new Failure('stopping', 'the store is closed')
    return adoptFile(file, this.#parts, (digest) => this.claim(digest), options)
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
    return this.#removal.drop(
      entries.filter(({ digest }) => !this.isBusy(digest)),
      reason,
    )
  }

  /** Drops a blob even while it is open: its readers keep the file. False: it was not stored. */
  remove(digest: Digest): Promise<boolean> {
    return this.#removal.dropOne(digest)
  }

  /** Drops a blob whose file is not what was stored. It is fetched again at the next request. */
  dropCorrupt(digest: Digest, found: string): Promise<void> {
    return this.#removal.dropCorrupt(digest, found)
  }

  /** Removes a partial. False: a transfer has resumed it. */
  async dropPartial(digest: Digest): Promise<boolean> {
    if (this.isBusy(digest)) return false
    await this.#removal.dropPartial(digest)
    return true
  }

  async #begin(want: Want): Promise<DiskIncoming> {
    const { digest } = want
    await this.#removal.settled(digest)
    return DiskIncoming.begin(want, this.#parts, () => this.#incoming.delete(digest))
  }

  async #beginProvisional(want: Want, { isUpload }: { isUpload: boolean }): Promise<DiskIncoming> {
    if (this.#closing) throw new Failure('stopping', 'the store is closed')
    const { digest } = want
    const beginning = DiskIncoming.begin(want, this.#parts, () => this.#incoming.delete(digest), {
      publishAs: (found) => this.claim(found),
      isUpload,
    })
    this.#incoming.set(digest, beginning)
    try {
      return await beginning
    } catch (error) {
      this.#incoming.delete(digest)
      throw error
    }
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
    if (!entry.isInline) return this.#openFile(entry, onClosed)
    const { digest, size } = entry
    const { index } = this.#parts
    const bytes = await index.bytes(digest)
    if (bytes?.length === size) return new InlineContent(entry, bytes, onClosed)
    // The blob may have been dropped or stored as a file meanwhile.
    const now = await index.get(digest)
    if (now === undefined) return undefined
    if (!now.isInline) return this.#openFile(now, onClosed)
    await this.#removal.dropCorrupt(digest, `${bytes?.length ?? 0} bytes instead of ${size}`)
    return undefined
  }

  async #openFile(entry: BlobEntry, onClosed: () => void): Promise<Content | undefined> {
    const { digest, size } = entry
    const { blobFiles, index } = this.#parts
    let file = await blobFiles.open(digest)
    if (file === undefined) {
      // The blob may have been dropped meanwhile, and may even be stored again.
      const now = await index.get(digest)
      if (now === undefined) return undefined
      if (now.isInline) return this.#open(now, onClosed)
      file = await blobFiles.open(digest)
    }
    if (file === undefined) {
      await this.#removal.dropCorrupt(digest, 'no file')
      return undefined
    }
    try {
      const stats = await file.stat()
      if (stats.isFile() && stats.size === size) return new StoredContent(entry, file, onClosed)
      await this.#parts.quarantine
        .moveFile(digest, this.#parts.blobFiles.path(digest))
        .catch(ignore('ENOENT'))
      await this.#removal.dropCorrupt(
        digest,
        stats.isFile() ? `${stats.size} bytes instead of ${size}` : 'not a file',
      )
    } catch (error) {
      await file.close()
      throw error
    }
    await file.close()
    return undefined
  }

  async #withUse(entries: readonly BlobEntry[]): Promise<BlobFacts[]> {
    const times = await this.#lastUse.of(entries.map(({ digest }) => digest))
    return entries.map((entry, at) => ({ ...entry, lastUsedAt: times[at] ?? entry.storedAt }))
  }
}
