import { createHash, type Hash } from 'node:crypto'
import { CHECKPOINT_BYTES, CHECKPOINT_INTERVAL_BYTES, Checkpoints } from '../../src/oci/checkpoints.ts'
import { algorithmOf, type Digest, parseDigest } from '../../src/oci/digest.ts'
import type { BlobFacts, BlobStore, Incoming } from '../../src/ports/blob-store.ts'
import type { Content } from '../../src/ports/content.ts'
import { Failure } from '../../src/ports/failure.ts'
import type { Want } from '../../src/ports/source.ts'
import type { MemoryCatalog } from './memory-catalog.ts'

export function digestOf(bytes: Uint8Array, algorithm: 'sha256' | 'sha512' = 'sha256'): Digest {
  const digest = parseDigest(`${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`)
  if (digest === undefined) throw new Error('unreachable: a hash is a digest')
  return digest
}

/** As many as there are in these bytes. */
export function checkpointsOf(bytes: Uint8Array, algorithm: 'sha256' | 'sha512' = 'sha256'): Uint8Array {
  const count = Math.floor(bytes.length / CHECKPOINT_INTERVAL_BYTES)
  const marks = new Uint8Array(count * CHECKPOINT_BYTES)
  const hash = createHash(algorithm)
  for (let k = 0; k < count; k++) {
    hash.update(bytes.subarray(k * CHECKPOINT_INTERVAL_BYTES, (k + 1) * CHECKPOINT_INTERVAL_BYTES))
    marks.set(hash.copy().digest().subarray(0, CHECKPOINT_BYTES), k * CHECKPOINT_BYTES)
  }
  return marks
}

interface StoredBlob {
  readonly bytes: Uint8Array
  readonly facts: Omit<BlobFacts, 'lastUsedAt'>
  readonly references: readonly Digest[]
  readonly subject: Digest | undefined
  readonly marks: Uint8Array | undefined
}

/** The twin of the store on disk: same contract, no files. Writing is late by a turn of the event loop, as there. */
export class MemoryStore implements BlobStore {
  /** What was stored, by digest. */
  readonly stored = new Map<Digest, StoredBlob>()
  /** What unfinished attempts have left. */
  readonly partials = new Map<Digest, Uint8Array>()
  /** What `restart` has put aside. */
  readonly quarantined: { readonly digest: Digest; readonly bytes: Uint8Array }[] = []
  /** Contents that were opened and not closed yet. */
  openContents = 0
  readonly bufferBytes: number
  readonly windowBytes: number
  /** Where it is said who has asked for what is stored, as the store on disk does in its index. */
  readonly catalog: MemoryCatalog | undefined
  /** Blobs larger than this are not kept. */
  limitBytes: number
  /** What the disk takes before it is full, all blobs together. */
  diskBytes = Number.POSITIVE_INFINITY
  /** What was reserved and not released. */
  readonly reserved = new Map<Digest, number>()
  readonly #lastUsed = new Map<Digest, number>()
  readonly #incoming = new Map<Digest, MemoryIncoming>()
  #held = false
  #broken: Failure | undefined

  /**
   * `bufferBytes`: size of one buffer; `roomBytes`: how much may be taken before it is written, or forgotten where it is
   * not kept.
   */
  constructor({
    bufferBytes = 65536,
    roomBytes = 4 * 65536,
    limitBytes = Number.POSITIVE_INFINITY,
    catalog,
  }: { bufferBytes?: number; roomBytes?: number; limitBytes?: number; catalog?: MemoryCatalog } = {}) {
    this.catalog = catalog
    this.limitBytes = limitBytes
    this.bufferBytes = bufferBytes
    this.windowBytes = roomBytes
  }

  /** Puts a blob in without the way through `begin`. */
  seed(
    bytes: Uint8Array,
    facts: {
      kind?: 'manifest' | 'blob'
      mediaType?: string
      algorithm?: 'sha256' | 'sha512'
      references?: readonly Digest[]
    } = {},
  ): Digest {
    const digest = digestOf(bytes, facts.algorithm)
    this.put(digest, {
      bytes: Uint8Array.from(bytes),
      facts: {
        digest,
        size: bytes.length,
        kind: facts.kind ?? 'blob',
        mediaType: facts.mediaType,
        storedAt: Date.now(),
        origin: 'test',
      },
      references: facts.references ?? [],
      subject: undefined,
      marks: bytes.length > CHECKPOINT_INTERVAL_BYTES ? checkpointsOf(bytes, facts.algorithm) : undefined,
    })
    return digest
  }

  /** Bytes stay in memory, unwritten, until `release`: a disk that is slow. */
  holdWrites(): void {
    this.#held = true
  }

  releaseWrites(): void {
    this.#held = false
    for (const incomingCount of this.#incoming.values()) incomingCount.write()
  }

  /** Every write from now on fails: a disk that is full. */
  breakDisk(): void {
    this.#broken = new Failure('disk', 'no space left on device')
    for (const incoming of this.#incoming.values()) incoming.write()
  }

  /** How much more the disk takes. */
  get freeBytes(): number {
    let used = 0
    for (const { bytes } of this.stored.values()) used += bytes.length
    for (const incoming of this.#incoming.values()) used += incoming.onDisk
    return Math.max(0, this.diskBytes - used)
  }

  get areWritesHeld(): boolean {
    return this.#held
  }

  get diskFailure(): Failure | undefined {
    return this.#broken
  }

  /** How many are on their way in. */
  get incoming(): number {
    return this.#incoming.size
  }

  async open(digest: Digest): Promise<Content | undefined> {
    const found = this.stored.get(digest)
    if (found === undefined) return undefined
    this.#lastUsed.set(digest, Date.now())
    const { bytes, facts } = found
    let closed = false
    this.openContents += 1
    return {
      digest,
      size: facts.size,
      mediaType: facts.mediaType,
      readable: () => bytes.length,
      read: async (target, position) => {
        if (closed) throw new Error('read after close')
        const part = bytes.subarray(position, position + target.length)
        target.set(part)
        return part.length
      },
      close: async () => {
        if (!closed) this.openContents -= 1
        closed = true
      },
    }
  }

  async facts(digest: Digest): Promise<BlobFacts | undefined> {
    const found = this.stored.get(digest)
    if (found === undefined) return undefined
    return { ...found.facts, lastUsedAt: this.#lastUsed.get(digest) ?? found.facts.storedAt }
  }

  async checkpoints(digest: Digest): Promise<Uint8Array | undefined> {
    return this.stored.get(digest)?.marks
  }

  touch(digest: Digest): void {
    if (this.stored.has(digest)) this.#lastUsed.set(digest, Date.now())
  }

  async referencingManifests(digest: Digest, most: number): Promise<readonly Digest[]> {
    const needing = [...this.stored].filter(([, { references }]) => references.includes(digest))
    return needing.map(([manifest]) => manifest).slice(0, most)
  }

  async begin(want: Want): Promise<Incoming> {
    if (this.#incoming.has(want.digest)) throw new Failure('disk', `${want.digest} is already on its way in`)
    const incoming = new MemoryIncoming(this, want)
    this.#incoming.set(want.digest, incoming)
    return incoming
  }

  put(digest: Digest, stored: StoredBlob): void {
    this.stored.set(digest, stored)
    this.partials.delete(digest)
  }

  end(digest: Digest): void {
    this.#incoming.delete(digest)
  }
}

class MemoryIncoming implements Incoming {
  readonly checkpoints = new Checkpoints()
  readonly #store: MemoryStore
  readonly #want: Want
  #bytes: Uint8Array
  #position: number
  #written: number
  /** Of all that there are marks of. */
  #hash: Hash | undefined
  #buffer: Uint8Array
  #failure: Failure | undefined
  #obstacle: Failure | undefined
  /** Up to here it is on the disk; what follows is only in memory. */
  #keptTo = Number.POSITIVE_INFINITY
  #forgotten = 0
  #expected = 0
  #reserving: Promise<boolean> | undefined
  #listener: ((failure: Error | undefined) => void) | undefined
  #waiting: { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } | undefined
  #scheduled = false
  #whenWritten: (() => void)[] = []
  #committed = false
  #closed = false

  constructor(store: MemoryStore, want: Want) {
    this.#store = store
    this.#want = want
    this.#bytes = Uint8Array.from(store.partials.get(want.digest) ?? [])
    this.#position = this.#bytes.length
    this.#written = this.#position
    this.#buffer = new Uint8Array(store.bufferBytes)
    this.#mark()
  }

  get position(): number {
    return this.#position
  }

  get written(): number {
    return this.#written
  }

  get readableFrom(): number {
    return this.#forgotten <= this.#keptTo ? 0 : this.#forgotten
  }

  get isStorable(): boolean {
    return this.#obstacle === undefined
  }

  get passThroughReason(): Failure | undefined {
    return this.#obstacle
  }

  /** What the disk has of it. */
  get onDisk(): number {
    return this.readableFrom === 0 ? Math.min(this.#written, this.#keptTo) : 0
  }

  reserve(size: number, total = size): Promise<boolean> {
    this.#expected = total
    this.#reserving = this.#reserve(size, total)
    return this.#reserving
  }

  async #reserve(size: number, total: number): Promise<boolean> {
    await new Promise((resolve) => setImmediate(resolve))
    if (!this.isStorable || this.#closed) return false
    if (total > this.#store.limitBytes) {
      this.#refuse(this.#written, new Failure('disk', `there is no room for ${total} bytes`))
      return false
    }
    this.#store.reserved.set(this.#want.digest, size)
    return true
  }

  discardBefore(position: number): void {
    this.#forgotten = Math.max(this.#forgotten, Math.min(position, this.#written))
    this.#settle()
  }

  buffer(): Uint8Array {
    return this.#buffer
  }

  filled(length: number): boolean {
    if (length > this.#buffer.length) throw new RangeError('more filled than there was room')
    if (this.#closed || this.#failure !== undefined) return false
    if (length > 0) {
      const end = this.#position + length
      if (end > this.#bytes.length) {
        const larger = new Uint8Array(Math.max(end, this.#bytes.length * 2))
        larger.set(this.#bytes)
        this.#bytes = larger
      }
      this.#bytes.set(this.#buffer.subarray(0, length), this.#position)
      this.#position = end
      this.#buffer = new Uint8Array(this.#store.bufferBytes)
      this.#schedule()
    }
    return !this.#full
  }

  async drained(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    if (!this.#full) return
    if (this.#waiting === undefined) {
      let resolve = (): void => {}
      let reject = (_: Error): void => {}
      const promise = new Promise<void>((yes, no) => {
        resolve = yes
        reject = no
      })
      this.#waiting = { promise, resolve, reject }
    }
    await this.#waiting.promise
  }

  onProgress(listener: (failure: Error | undefined) => void): void {
    this.#listener = listener
    const failure = this.#failure
    if (failure !== undefined) queueMicrotask(() => listener(failure))
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    if (this.#closed) throw new Error('read after close')
    if (position < this.readableFrom) throw new Failure('disk', `byte ${position} is not here any more`)
    const part = this.#bytes.subarray(position, Math.min(position + target.length, this.#written))
    target.set(part)
    return part.length
  }

  async digest(): Promise<Digest> {
    await this.#settled()
    return digestOf(this.#bytes.subarray(0, this.#written), algorithmOf(this.#want.digest))
  }

  async commit(facts: {
    mediaType: string | undefined
    origin: string
    references: readonly Digest[]
    subject: Digest | undefined
  }): Promise<boolean> {
    const { digest, kind } = this.#want
    const found = await this.digest()
    if (found !== digest) {
      throw new Failure('corrupt', 'only what was asked for is stored', { expected: digest, found })
    }
    await this.#reserving
    if (!this.isStorable) return false
    this.#committed = true
    void this.#store.catalog?.rememberKnownName(this.#want.repository, digest).catch(() => {})
    const { mediaType, origin, references, subject } = facts
    const bytes = this.#bytes.slice(0, this.#written)
    this.#store.put(digest, {
      bytes,
      facts: { digest, size: bytes.length, kind, mediaType, storedAt: Date.now(), origin },
      references,
      subject,
      marks: bytes.length > CHECKPOINT_INTERVAL_BYTES ? this.checkpoints.since(0) : undefined,
    })
    this.#store.reserved.delete(digest)
    return true
  }

  async truncate(position: number): Promise<void> {
    if (position % CHECKPOINT_INTERVAL_BYTES !== 0 || position < 0 || position > this.#position) {
      throw new RangeError(`cannot cut at ${position} of ${this.#position}`)
    }
    if (position === this.#position) return
    if (position === 0 || !this.isStorable) return this.restart()
    await this.#settled()
    if (!this.isStorable) return this.restart()
    this.#position = position
    this.#written = position
    this.#bytes = this.#bytes.slice(0, position)
    this.checkpoints.truncate(position / CHECKPOINT_INTERVAL_BYTES)
    this.#hash = undefined
    this.#buffer = new Uint8Array(this.#store.bufferBytes)
    this.#settle()
  }

  async restart(): Promise<void> {
    await this.#reserving
    const { digest } = this.#want
    if (this.isStorable) this.#store.quarantined.push({ digest, bytes: this.#bytes.slice(0, this.#position) })
    this.#store.partials.delete(digest)
    this.#store.reserved.delete(digest)
    this.#bytes = new Uint8Array()
    this.#position = 0
    this.#written = 0
    this.checkpoints.truncate(0)
    this.#hash = undefined
    this.#obstacle = undefined
    this.#keptTo = Number.POSITIVE_INFINITY
    this.#forgotten = 0
    this.#buffer = new Uint8Array(this.#store.bufferBytes)
    this.#settle()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#reserving
    const { digest } = this.#want
    if (this.#failure !== undefined || !this.isStorable) this.#store.partials.delete(digest)
    else if (!this.#committed && this.#position > 0) {
      this.#store.partials.set(digest, this.#bytes.slice(0, this.#position))
    }
    this.#waiting?.reject(new Failure('disk', 'closed'))
    this.#waiting = undefined
    this.#store.reserved.delete(digest)
    this.#store.end(digest)
  }

  /** Writes what was taken, as far as the disk lets it. */
  write(): void {
    if (this.#closed || this.#failure !== undefined) return
    const failure = this.#store.diskFailure
    if (failure !== undefined) {
      this.#failure = failure
      this.#waiting?.promise.catch(() => {})
      this.#waiting?.reject(failure)
      this.#waiting = undefined
      this.#settle()
      this.#listener?.(failure)
      return
    }
    if (this.#store.areWritesHeld || this.#written === this.#position) return
    const { freeBytes } = this.#store
    if (this.isStorable && this.#position - this.#written > freeBytes) {
      this.#refuse(this.#written + freeBytes, new Failure('disk', 'no space left on device'))
    }
    this.#written = this.#position
    this.#mark()
    this.#settle()
    this.#listener?.(undefined)
  }

  #mark(): void {
    while (this.checkpoints.coveredBytes + CHECKPOINT_INTERVAL_BYTES <= this.#written) {
      const { coveredBytes } = this.checkpoints
      this.#hash ??= createHash(algorithmOf(this.#want.digest)).update(this.#bytes.subarray(0, coveredBytes))
      this.#hash.update(this.#bytes.subarray(coveredBytes, coveredBytes + CHECKPOINT_INTERVAL_BYTES))
      this.checkpoints.append(this.#hash.copy().digest().subarray(0, CHECKPOINT_BYTES))
    }
  }

  get #full(): boolean {
    const unread = this.#position - Math.max(this.#forgotten, Math.min(this.#written, this.#keptTo))
    const window = this.isStorable ? this.#position - this.#written : unread
    const rest = this.#expected - this.#position
    return window >= this.#store.windowBytes && (this.isStorable || rest > this.#buffer.length)
  }

  #refuse(keptTo: number, failure: Failure): void {
    this.#obstacle = failure
    this.#keptTo = keptTo
    this.#store.reserved.delete(this.#want.digest)
    queueMicrotask(() => this.#listener?.(undefined))
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.write()
    })
  }

  async #settled(): Promise<void> {
    while (this.#failure === undefined && this.#written < this.#position) {
      await new Promise<void>((resolve) => this.#whenWritten.push(resolve))
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  #settle(): void {
    const done = this.#whenWritten
    this.#whenWritten = []
    for (const resolve of done) resolve()
    if (!this.#full && this.#failure === undefined) {
      this.#waiting?.resolve()
      this.#waiting = undefined
    }
  }
}
