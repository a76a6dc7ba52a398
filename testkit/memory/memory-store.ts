import { CHECKPOINT_INTERVAL_BYTES } from '../../src/oci/checkpoints.ts'
import type { Digest } from '../../src/oci/digest.ts'
import type { BlobFacts, BlobStore, Incoming } from '../../src/ports/blob-store.ts'
import type { Content } from '../../src/ports/content.ts'
import { Failure } from '../../src/ports/failure.ts'
import type { Want } from '../../src/ports/source.ts'
import { checkpointsOf, digestOf } from './digests.ts'
import type { MemoryCatalog } from './memory-catalog.ts'
import type { MemoryDisk, StoredBlob } from './memory-disk.ts'
import { MemoryIncoming } from './memory-incoming.ts'

/** The twin of the store on disk, with the same contract and without files. */
export class MemoryStore implements BlobStore, MemoryDisk {
  readonly stored = new Map<Digest, StoredBlob>()
  /** What unfinished incomings have left. */
  readonly partials = new Map<Digest, Uint8Array>()
  /** What `restart` has moved away. */
  readonly quarantined: { readonly digest: Digest; readonly bytes: Uint8Array }[] = []
  /** How many contents were opened and not closed yet. */
  openContents = 0
  readonly bufferBytes: number
  readonly windowBytes: number
  /** Learns the name of each stored blob, as the index of the store on disk does. */
  readonly catalog: MemoryCatalog | undefined
  /** A larger blob is passed through. */
  limitBytes: number
  /** How large the disk is. */
  diskBytes = Number.POSITIVE_INFINITY
  /** Whether bytes may be written ahead of their turn. */
  takesAhead = true
  /** What was reserved and not released. */
  readonly reserved = new Map<Digest, number>()
  readonly #lastUsed = new Map<Digest, number>()
  readonly #incoming = new Map<Digest, MemoryIncoming>()
  #areWritesPaused = false
  #diskFailure: Failure | undefined

  /**
   * `bufferBytes`: the size of one buffer; `windowBytes`: how much is taken before it is written, or discarded when it
   * is passed through.
   */
  constructor({
    bufferBytes = 65536,
    windowBytes = 4 * 65536,
    limitBytes = Number.POSITIVE_INFINITY,
    catalog,
  }: { bufferBytes?: number; windowBytes?: number; limitBytes?: number; catalog?: MemoryCatalog } = {}) {
    this.catalog = catalog
    this.limitBytes = limitBytes
    this.bufferBytes = bufferBytes
    this.windowBytes = windowBytes
  }

  /** Stores a blob without an incoming. */
  seed(
    bytes: Uint8Array,
    facts: {
      kind?: 'manifest' | 'blob'
      mediaType?: string
      algorithm?: 'sha256' | 'sha512'
      references?: readonly Digest[]
    } = {},
  ): Digest {
    const { kind = 'blob', mediaType, algorithm, references = [] } = facts
    const digest = digestOf(bytes, algorithm)
    this.put(digest, {
      bytes: Uint8Array.from(bytes),
      facts: { digest, size: bytes.length, kind, mediaType, storedAt: Date.now(), origin: 'test' },
      references,
      subject: undefined,
      checkpoints: bytes.length > CHECKPOINT_INTERVAL_BYTES ? checkpointsOf(bytes, algorithm) : undefined,
    })
    return digest
  }

  /** Stores a blob, or replaces it by another one. */
  put(digest: Digest, blob: StoredBlob): void {
    this.stored.set(digest, blob)
    this.partials.delete(digest)
  }

  /** Leaves all bytes in memory, unwritten, until `resumeWrites`, as on a slow disk. */
  pauseWrites(): void {
    this.#areWritesPaused = true
  }

  resumeWrites(): void {
    this.#areWritesPaused = false
    for (const incoming of this.#incoming.values()) incoming.write()
  }

  /** Lets every write fail from now on, as on a full disk. */
  breakDisk(): void {
    this.#diskFailure = new Failure('disk', 'no space left on device')
    for (const incoming of this.#incoming.values()) incoming.write()
  }

  get areWritesPaused(): boolean {
    return this.#areWritesPaused
  }

  get diskFailure(): Failure | undefined {
    return this.#diskFailure
  }

  get freeBytes(): number {
    let used = 0
    for (const { bytes } of this.stored.values()) used += bytes.length
    for (const incoming of this.#incoming.values()) used += incoming.bytesOnDisk
    return Math.max(0, this.diskBytes - used)
  }

  get incomingCount(): number {
    return this.#incoming.size
  }

  async open(digest: Digest): Promise<Content | undefined> {
    const found = this.stored.get(digest)
    if (found === undefined) return undefined
    this.#lastUsed.set(digest, Date.now())
    const { bytes, facts } = found
    let isClosed = false
    this.openContents += 1
    return {
      digest,
      size: facts.size,
      mediaType: facts.mediaType,
      readable: () => bytes.length,
      read: async (target, position) => {
        if (isClosed) throw new Error('read after close')
        const part = bytes.subarray(position, position + target.length)
        target.set(part)
        return part.length
      },
      close: async () => {
        if (!isClosed) this.openContents -= 1
        isClosed = true
      },
    }
  }

  async facts(digest: Digest): Promise<BlobFacts | undefined> {
    const found = this.stored.get(digest)
    if (found === undefined) return undefined
    return { ...found.facts, lastUsedAt: this.#lastUsed.get(digest) ?? found.facts.storedAt }
  }

  async checkpoints(digest: Digest): Promise<Uint8Array | undefined> {
    return this.stored.get(digest)?.checkpoints
  }

  touch(digest: Digest): void {
    if (this.stored.has(digest)) this.#lastUsed.set(digest, Date.now())
  }

  async referencingManifests(digest: Digest, most: number): Promise<readonly Digest[]> {
    const referencing = [...this.stored].filter(([, { references }]) => references.includes(digest))
    return referencing.map(([manifest]) => manifest).slice(0, most)
  }

  async begin(want: Want): Promise<Incoming> {
    const { digest } = want
    if (this.#incoming.has(digest)) throw new Failure('disk', `${digest} has an incoming already`)
    const incoming = new MemoryIncoming(this, want)
    this.#incoming.set(digest, incoming)
    return incoming
  }

  commit({ repository, digest }: Want, blob: StoredBlob): void {
    void this.catalog?.rememberKnownName(repository, digest).catch(() => {})
    this.put(digest, blob)
  }

  end(digest: Digest): void {
    this.#incoming.delete(digest)
  }
}
