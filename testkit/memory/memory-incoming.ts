import { Deferred } from '../../src/lib/async/deferred.ts'
import { CHECKPOINT_INTERVAL_BYTES, type Checkpoints } from '../../src/oci/checkpoints.ts'
import { algorithmOf, type Digest } from '../../src/oci/digest.ts'
import type { Incoming } from '../../src/ports/blob-store.ts'
import { Failure } from '../../src/ports/failure.ts'
import type { Want } from '../../src/ports/source.ts'
import { digestOf } from './digests.ts'
import { GrowingBytes } from './growing-bytes.ts'
import { MemoryAhead } from './memory-ahead.ts'
import type { MemoryDisk } from './memory-disk.ts'

/** The twin of an incoming on disk. It writes in the next turn of the event loop. */
export class MemoryIncoming implements Incoming {
  readonly #disk: MemoryDisk
  readonly #want: Want
  readonly #bytes: GrowingBytes
  #written: number
  #buffer: Uint8Array
  #failure: Failure | undefined
  #passThroughReason: Failure | undefined
  /** The bytes after this position are in memory only. */
  #diskEnd = Number.POSITIVE_INFINITY
  #discarded = 0
  #expectedBytes = 0
  #reserving: Promise<boolean> | undefined
  #onProgress: ((failure: Error | undefined) => void) | undefined
  #room: Deferred<void> | undefined
  #isWriteScheduled = false
  #whenWritten: (() => void)[] = []
  #isCommitted = false
  #isClosed = false

  constructor(disk: MemoryDisk, want: Want) {
    this.#disk = disk
    this.#want = want
    this.#bytes = new GrowingBytes(want.digest, disk.partials.get(want.digest))
    this.#written = this.#bytes.length
    this.#buffer = sharedBytes(disk.bufferBytes)
    this.#bytes.addCheckpoints(this.#written)
  }

  get position(): number {
    return this.#bytes.length
  }

  get written(): number {
    return this.#written
  }

  get checkpoints(): Checkpoints {
    return this.#bytes.checkpoints
  }

  get readableFrom(): number {
    return this.#discarded <= this.#diskEnd ? 0 : this.#discarded
  }

  get isStorable(): boolean {
    return this.#passThroughReason === undefined
  }

  get passThroughReason(): Failure | undefined {
    return this.#passThroughReason
  }

  /** How many bytes take room on the disk. */
  get bytesOnDisk(): number {
    return this.readableFrom === 0 ? Math.min(this.#written, this.#diskEnd) : 0
  }

  reserve(size: number, total = size): Promise<boolean> {
    this.#expectedBytes = total
    this.#reserving = this.#reserve(size, total)
    return this.#reserving
  }

  discardBefore(position: number): void {
    this.#discarded = Math.max(this.#discarded, Math.min(position, this.#written))
    this.#signalProgress()
  }

  buffer(): Uint8Array {
    return this.#buffer
  }

  filled(length: number): boolean {
    if (length > this.#buffer.length) throw new RangeError('more filled than there was room')
    if (this.#isClosed || this.#failure !== undefined) return false
    if (length > 0) {
      this.#bytes.append(this.#buffer.subarray(0, length))
      const rest = this.#buffer.subarray(length)
      this.#buffer = rest.length > 0 ? rest : sharedBytes(this.#disk.bufferBytes)
      this.#scheduleWrite()
    }
    return !this.#isFull
  }

  async drained(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    if (!this.#isFull) return
    this.#room ??= new Deferred()
    await this.#room.promise
  }

  onProgress(listener: (failure: Error | undefined) => void): void {
    this.#onProgress = listener
    const failure = this.#failure
    if (failure !== undefined) queueMicrotask(() => listener(failure))
  }

  async openAhead(): Promise<MemoryAhead> {
    if (!this.#disk.takesAhead) throw new Failure('disk', 'no file can be made')
    return new MemoryAhead()
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    if (this.#isClosed) throw new Error('read after close')
    if (position < this.readableFrom) throw new Failure('disk', `byte ${position} has been discarded`)
    const part = this.#bytes.subarray(position, Math.min(position + target.length, this.#written))
    target.set(part)
    return part.length
  }

  async digest(): Promise<Digest> {
    await this.#allWritten()
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
      throw new Failure('corrupt', 'the bytes are not those of the digest', { expected: digest, found })
    }
    await this.#reserving
    if (!this.isStorable) return false
    this.#isCommitted = true
    const { mediaType, origin, references, subject } = facts
    const bytes = this.#bytes.copy(this.#written)
    this.#disk.commit(this.#want, {
      bytes,
      facts: { digest, size: bytes.length, kind, mediaType, storedAt: Date.now(), origin },
      references,
      subject,
      checkpoints: bytes.length > CHECKPOINT_INTERVAL_BYTES ? this.checkpoints.since(0) : undefined,
    })
    this.#disk.reserved.delete(digest)
    return true
  }

  async truncate(position: number): Promise<void> {
    if (position % CHECKPOINT_INTERVAL_BYTES !== 0 || position < 0 || position > this.position) {
      throw new RangeError(`cannot cut at ${position} of ${this.position}`)
    }
    if (position === this.position) return
    if (position === 0 || !this.isStorable) return this.restart()
    await this.#allWritten()
    if (!this.isStorable) return this.restart()
    this.#continueFrom(position)
  }

  async restart(): Promise<void> {
    await this.#reserving
    const { digest } = this.#want
    if (this.isStorable) this.#disk.quarantined.push({ digest, bytes: this.#bytes.copy() })
    this.#disk.partials.delete(digest)
    this.#disk.reserved.delete(digest)
    this.#passThroughReason = undefined
    this.#diskEnd = Number.POSITIVE_INFINITY
    this.#discarded = 0
    this.#continueFrom(0)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#reserving
    const { digest } = this.#want
    if (this.#failure !== undefined || !this.isStorable) this.#disk.partials.delete(digest)
    else if (!this.#isCommitted && this.position > 0) {
      this.#disk.partials.set(digest, this.#bytes.copy())
    }
    this.#room?.reject(new Failure('disk', 'closed'))
    this.#room = undefined
    this.#disk.reserved.delete(digest)
    this.#disk.end(digest)
  }

  /** Writes what was taken, as far as the disk lets it. */
  write(): void {
    if (this.#isClosed || this.#failure !== undefined) return
    const { diskFailure, areWritesPaused, freeBytes } = this.#disk
    if (diskFailure !== undefined) this.#fail(diskFailure)
    if (diskFailure !== undefined || areWritesPaused || this.#written === this.position) return
    if (this.isStorable && this.position - this.#written > freeBytes) {
      this.#passThrough(this.#written + freeBytes, new Failure('disk', 'no space left on device'))
    }
    this.#written = this.position
    this.#bytes.addCheckpoints(this.#written)
    this.#signalProgress()
    this.#onProgress?.(undefined)
  }

  get #isFull(): boolean {
    const inMemory = this.position - Math.max(this.#discarded, Math.min(this.#written, this.#diskEnd))
    const inWindow = this.isStorable ? this.position - this.#written : inMemory
    const missing = this.#expectedBytes - this.position
    return inWindow >= this.#disk.windowBytes && (this.isStorable || missing > this.#buffer.length)
  }

  async #reserve(size: number, total: number): Promise<boolean> {
    await new Promise((resolve) => setImmediate(resolve))
    if (!this.isStorable || this.#isClosed) return false
    if (total > this.#disk.limitBytes) {
      this.#passThrough(this.#written, new Failure('disk', `there is no room for ${total} bytes`))
      return false
    }
    this.#disk.reserved.set(this.#want.digest, size)
    return true
  }

  #continueFrom(position: number): void {
    this.#bytes.truncate(position)
    this.#written = position
    this.#buffer = sharedBytes(this.#disk.bufferBytes)
    this.#signalProgress()
  }

  #passThrough(diskEnd: number, reason: Failure): void {
    this.#passThroughReason = reason
    this.#diskEnd = diskEnd
    this.#disk.reserved.delete(this.#want.digest)
    queueMicrotask(() => this.#onProgress?.(undefined))
  }

  #fail(failure: Failure): void {
    this.#failure = failure
    this.#room?.promise.catch(() => {})
    this.#room?.reject(failure)
    this.#room = undefined
    this.#signalProgress()
    this.#onProgress?.(failure)
  }

  #scheduleWrite(): void {
    if (this.#isWriteScheduled) return
    this.#isWriteScheduled = true
    setImmediate(() => {
      this.#isWriteScheduled = false
      this.write()
    })
  }

  async #allWritten(): Promise<void> {
    while (this.#failure === undefined && this.#written < this.position) {
      await new Promise<void>((resolve) => this.#whenWritten.push(resolve))
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  #signalProgress(): void {
    for (const resolve of this.#whenWritten.splice(0)) resolve()
    if (this.#isFull || this.#failure !== undefined) return
    this.#room?.resolve()
    this.#room = undefined
  }
}

function sharedBytes(length: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(length))
}
