import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { Deferred } from '../../lib/async/deferred.ts'
import { publish } from '../../observe/events.ts'
import { CHECKPOINT_BYTES, CHECKPOINT_INTERVAL_BYTES, Checkpoints } from '../../oci/checkpoints.ts'
import { algorithmOf, type Digest, parseDigest } from '../../oci/digest.ts'
import type { Incoming } from '../../ports/blob-store.ts'
import { Failure } from '../../ports/failure.ts'
import type { Want } from '../../ports/source.ts'
import { diskFailure } from '../files/layout.ts'
import type { OpenFile } from '../files/open-file.ts'
import type { Reservation } from '../space/disk-budget.ts'
import { type Borrower, UNIT_BYTES } from './shared-memory.ts'
import type { StoreParts } from './store-parts.ts'
import { type WindowPiece, WriteWindow } from './write-window.ts'
import type { WriterFile } from './writer-file.ts'

/** Where bytes go that come in spite of everything after the intake has failed. */
const SPILL_BYTES = 65536
/** Over a slow line bytes come in hundreds of small pieces a second, each of which would wake both threads. */
const WORTH_A_MESSAGE = 65536
const SOON_MS = 4
/** After so much the disk is told to begin, so that the sync at the end of a large blob finds little left to do. */
const SYNC_EVERY = 32 * 1024 * 1024

/**
 * A blob on its way in. Until it outgrows its first slot it is in memory and has no file; small ones never have one before
 * they are stored. After that a writer thread hashes and writes slot after slot: what has been filled is handed over at
 * once when the thread has nothing else of this blob to do, and slot by slot when it has. What it is to write waits in the
 * slots until there is a file and room for it on the disk. From where there is none, the thread only hashes, and the
 * slots are what is read.
 */
export class DiskIncoming implements Incoming {
  readonly checkpoints = new Checkpoints()
  readonly #want: Want
  readonly #parts: StoreParts
  readonly #borrower: Borrower
  readonly #onClosed: () => void
  #window: WriteWindow
  #written = 0
  /** Bytes that the thread has written. */
  #onDisk = 0
  #syncedTo = 0
  #syncing = false
  /** Everything so far is in the first slot, there is no file. */
  #inMemory = true
  #opening: Promise<void> | undefined
  #soon: NodeJS.Timeout | undefined
  #file: OpenFile | undefined
  #writing: WriterFile | undefined
  /** Handed over, but not yet said to the thread. */
  #queued: WindowPiece[] = []
  #expected = 0
  #reserving: Promise<boolean> | undefined
  #reservation: Reservation | undefined
  #obstacle: Failure | undefined
  /** Up to here bytes are in the file, and none after that; undefined as long as all are, or will be. */
  #keptTo: number | undefined
  #forgotten = 0
  #dropping: Promise<void> | undefined
  #failure: Failure | undefined
  #listener: ((failure: Error | undefined) => void) | undefined
  #waiter: Deferred<void> | undefined
  #spill: Uint8Array | undefined
  #verified: { readonly position: number; readonly digest: Digest } | undefined
  #committing: Promise<boolean> | undefined
  #committed = false
  #cutting: Promise<void> | undefined
  #closing: Promise<void> | undefined

  static async begin(want: Want, yard: StoreParts, onClosed: () => void): Promise<DiskIncoming> {
    // Called only when somebody else gives memory back, by which time there is an incoming to wake.
    let begun: DiskIncoming | undefined
    const place = await yard.memory.join(() => begun?.wake())
    try {
      const left = await yard.partials.resume(want.digest)
      begun = new DiskIncoming(want, yard, place, left?.size ?? 0, onClosed)
      if (want.kind === 'blob') yard.writerPool.prepare()
      if (left !== undefined) begun.#goOn(left.file)
      return begun
    } catch (cause) {
      yard.memory.leave(place)
      throw diskFailure(`cannot begin to take ${want.digest}`, cause)
    }
  }

  private constructor(want: Want, yard: StoreParts, place: Borrower, position: number, onClosed: () => void) {
    this.#want = want
    this.#parts = yard
    this.#borrower = place
    this.#onClosed = onClosed
    this.#window = new WriteWindow(yard.memory, place, position)
  }

  get position(): number {
    return this.#window.position
  }

  get written(): number {
    return this.#written
  }

  get readableFrom(): number {
    return this.#keptTo === undefined || this.#forgotten <= this.#keptTo ? 0 : this.#forgotten
  }

  get isStorable(): boolean {
    return this.#obstacle === undefined
  }

  get passThroughReason(): Failure | undefined {
    return this.#obstacle
  }

  reserve(size: number, total = size): Promise<boolean> {
    this.#expected = total
    const reserving: Promise<boolean> = this.#reserve(size, total, this.#reserving).finally(() => {
      if (this.#reserving !== reserving) return
      this.#reserving = undefined
      this.#sayQueued()
    })
    this.#reserving = reserving
    return reserving
  }

  discardBefore(position: number): void {
    this.#forgotten = Math.max(this.#forgotten, Math.min(position, this.#written))
    if (this.#keptTo === undefined) return
    this.#window.keepFrom(Math.max(this.#keptTo, this.#forgotten))
    if (this.#forgotten >= this.#keptTo && this.#file !== undefined) this.#dropping = this.#drop(this.#file)
    this.wake()
  }

  buffer(): Uint8Array {
    if (this.#failure === undefined && this.#closing === undefined) {
      const { free: room } = this.#window
      if (room.length > 0) return room
    }
    this.#spill ??= new Uint8Array(SPILL_BYTES)
    return this.#spill
  }

  filled(length: number): boolean {
    if (this.#failure !== undefined || this.#closing !== undefined) return false
    const filling = this.#window
    if (filling.free.length === 0) {
      this.#fail(new Failure('disk', 'more bytes came than the buffer holds'))
      return false
    }
    filling.fill(length)
    if (this.#inMemory) {
      // Stays readable in the slot until it is in a file.
      this.#advance(filling.position)
      if (!filling.isSlotChangeDue) return this.#hasRoom
    }
    if (filling.isSlotChangeDue) this.#turn()
    else this.#handOver()
    return this.#hasRoom
  }

  async drained(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#hasRoom) return
    this.#waiter ??= waiter()
    await this.#waiter.promise
  }

  onProgress(listener: (failure: Error | undefined) => void): void {
    this.#listener = listener
    const failure = this.#failure
    if (failure !== undefined) queueMicrotask(() => listener(failure))
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    const length = Math.min(target.length, this.#written - position)
    if (length <= 0) return 0
    if (position >= this.#onDisk || this.#file === undefined) {
      if (this.#closing !== undefined) throw new Error('the intake is closed')
      const count = this.#window.copy(target.subarray(0, length), position)
      if (count === 0)
        throw new Failure('disk', `byte ${position} of ${this.#want.digest} is not here any more`)
      return count
    }
    const onDisk = Math.min(length, this.#onDisk - position)
    try {
      return await this.#file.read(target.subarray(0, onDisk), position)
    } catch (cause) {
      throw diskFailure(`cannot read what came of ${this.#want.digest}`, cause)
    }
  }

  async digest(): Promise<Digest> {
    const { position } = this
    if (this.#verified?.position === position) return this.#verified.digest
    const digest = await this.#digest()
    this.#verified = { position, digest }
    return digest
  }

  commit(facts: {
    mediaType: string | undefined
    origin: string
    references: readonly Digest[]
    subject: Digest | undefined
  }): Promise<boolean> {
    this.#committing ??= this.#commit(facts).finally(() => {
      this.#committing = undefined
    })
    return this.#committing
  }

  truncate(position: number): Promise<void> {
    if (position % CHECKPOINT_INTERVAL_BYTES !== 0 || position < 0 || position > this.position) {
      return Promise.reject(new RangeError(`cannot cut at ${position} of ${this.position}`))
    }
    const cutting = this.#cutTo(position).finally(() => {
      this.#cutting = undefined
    })
    this.#cutting = cutting
    return cutting
  }

  async restart(): Promise<void> {
    await this.#reserving
    if (this.#failure !== undefined) throw this.#failure
    const { digest } = this.#want
    if (this.#inMemory) {
      const bytes = Uint8Array.from(this.#window.firstSlot)
      if (this.isStorable && bytes.length > 0)
        await this.#parts.quarantine.keep(digest, bytes).catch(() => {})
    } else {
      try {
        await this.#letGoOfFile()
        // Where it cannot be kept it is removed with the rest of the partial.
        if (this.isStorable) {
          await this.#parts.quarantine.move(digest, this.#parts.partials.data(digest)).catch(() => {})
        }
        await this.#parts.partials.remove(digest)
      } catch (cause) {
        const failure = diskFailure(`cannot put aside what came of ${digest}`, cause)
        this.#fail(failure)
        throw failure
      }
    }
    this.#window.release()
    this.#borrower.isLongTerm = false
    this.#window = new WriteWindow(this.#parts.memory, this.#borrower, 0)
    this.#release()
    this.#obstacle = undefined
    this.#keptTo = undefined
    this.#forgotten = 0
    this.#verified = undefined
    this.checkpoints.truncate(0)
    this.#written = 0
    this.#onDisk = 0
    this.#syncedTo = 0
    this.#inMemory = true
    this.wake()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** There may be memory again. */
  wake(): void {
    if (this.#failure !== undefined || this.#closing !== undefined || !this.#hasRoom) return
    if (this.#window.free.length === 0) this.#turn()
    this.#waiter?.resolve()
    this.#waiter = undefined
  }

  /** What an earlier attempt has left is hashed by the thread, while new bytes come already. */
  #goOn(file: OpenFile): void {
    this.#inMemory = false
    this.#file = file
    this.#writing = this.#startWriting(file, this.position)
  }

  /** On to the slot in hand; what has outgrown the first needs a file. */
  #turn(): void {
    if (this.#inMemory) {
      this.#inMemory = false
      this.#opening = this.#open()
    }
    this.#write(this.#window.changeSlot())
  }

  /** Of what is not kept, the slot that is being filled may be all the memory there is for it. */
  get #hasRoom(): boolean {
    if (this.#window.takeNextSlot()) return true
    if (this.isStorable) return false
    const room = this.#window.free.length
    return room >= UNIT_BYTES || this.#expected - this.position <= room
  }

  async #reserve(size: number, total: number, before: Promise<boolean> | undefined): Promise<boolean> {
    await before
    if (!this.isStorable || this.#closing !== undefined) return false
    try {
      const reservation = await this.#parts.budget.reserve(this.#want.digest, size, total)
      if (reservation === undefined) throw new Failure('disk', `there is no room for ${total} bytes`)
      this.#reservation = reservation
    } catch (cause) {
      this.#refuse(diskFailure(`cannot make room for ${this.#want.digest}`, cause))
    }
    return this.isStorable
  }

  /** It will not be kept. What the thread has been told to write may be in the file still. */
  #refuse(failure: Failure): void {
    if (this.#obstacle !== undefined) return
    this.#obstacle = failure
    this.#borrower.isLongTerm = true
    this.#writing?.hashOnly()
    queueMicrotask(() => this.#listener?.(undefined))
  }

  /** The file ends at `position`: what comes after that is only in the slots. */
  #onFull(position: number, failure: Failure | undefined): void {
    if (failure !== undefined) this.#refuse(diskFailure(`cannot keep ${this.#want.digest}`, failure))
    this.#keptTo = position
    this.#onDisk = position
    this.#window.keepFrom(position)
    // The rest of what was reserved is for others.
    this.#release()
  }

  #release(): void {
    this.#reservation?.release()
    this.#reservation = undefined
  }

  async #open(): Promise<void> {
    await this.#reserving
    if (this.isStorable && this.#failure === undefined) {
      try {
        this.#file = await this.#parts.partials.create(this.#want)
      } catch (cause) {
        this.#refuse(diskFailure(`cannot create a partial for ${this.#want.digest}`, cause))
      }
    }
    if (this.#failure !== undefined) return
    if (this.#file === undefined) this.#onFull(0, undefined)
    this.#writing = this.#startWriting(this.#file, 0)
    if (!this.isStorable) this.#writing.hashOnly()
    this.#sayQueued()
  }

  #startWriting(file: OpenFile | undefined, from: number): WriterFile {
    return this.#parts.writerPool.open(file?.fd, this.#want.digest, from, {
      written: (position, marks) => this.#onWritten(position, marks),
      full: (position, failure) => this.#onFull(position, failure),
      failed: (failure) => this.#fail(failure),
    })
  }

  /** When the thread has nothing else of this blob to do: at once what is worth a message, and soon what is less. */
  #handOver(): void {
    const filling = this.#window
    if (filling.unwritten.length > 0) return
    if (filling.pendingBytes >= WORTH_A_MESSAGE) this.#write(filling.handOver())
    else if (filling.pendingBytes > 0) {
      this.#soon ??= setTimeout(() => {
        this.#soon = undefined
        const isIdle = this.#window.unwritten.length === 0
        if (this.#closing === undefined && !this.#inMemory && isIdle) this.#write(this.#window.handOver())
      }, SOON_MS)
    }
  }

  /** Until there is a file, and room for it, what is handed over waits in its slots. */
  #write(piece: WindowPiece | undefined): void {
    if (piece === undefined) return
    this.#queued.push(piece)
    this.#sayQueued()
  }

  #sayQueued(): void {
    if (this.#writing === undefined || this.#reserving !== undefined) return
    for (const { offset, length } of this.#queued.splice(0)) this.#writing.write(offset, length)
  }

  /** Everyone is past what is in the file: the disk gets its room back, long before the rest has come. */
  async #drop(file: OpenFile): Promise<void> {
    this.#file = undefined
    await file.close().catch(() => {})
    await this.#parts.partials.remove(this.#want.digest).catch(() => {})
  }

  #onWritten(position: number, marks: Uint8Array | undefined): void {
    if (marks !== undefined) this.#appendMarks(position, marks)
    // What is hashed once more after a cut is on the disk all the time.
    this.#onDisk = this.#keptTo ?? Math.max(this.#onDisk, position)
    this.#window.written(position)
    if (this.#closing === undefined) {
      this.#handOver()
      if (
        this.isStorable &&
        position - this.#syncedTo >= SYNC_EVERY &&
        !this.#syncing &&
        this.#file !== undefined
      ) {
        void this.#syncEarly(this.#file)
      }
    }
    this.#advance(position)
  }

  /** Those up to `position`, of which the first may be known already. */
  #appendMarks(position: number, marks: Uint8Array): void {
    const first = Math.floor(position / CHECKPOINT_INTERVAL_BYTES) - marks.length / CHECKPOINT_BYTES
    const known = this.checkpoints.count - first
    if (known >= 0) this.checkpoints.append(marks.subarray(known * CHECKPOINT_BYTES))
  }

  async #syncEarly(file: OpenFile): Promise<void> {
    this.#syncing = true
    this.#syncedTo = this.#onDisk
    try {
      await file.sync()
    } catch (cause) {
      // The next sync may not tell of it again: what was written is not to be trusted any more.
      this.#fail(diskFailure(`cannot write ${this.#want.digest}`, cause))
    } finally {
      this.#syncing = false
    }
  }

  #advance(position: number): void {
    if (position <= this.#written) return
    this.#written = position
    // Not from within `filled`: who fills and who listens may be the same.
    queueMicrotask(() => this.#listener?.(undefined))
  }

  #fail(failure: Failure): void {
    if (this.#failure !== undefined) return
    this.#failure = failure
    this.#waiter?.reject(failure)
    this.#waiter = undefined
    queueMicrotask(() => this.#listener?.(failure))
  }

  async #digest(): Promise<Digest> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#inMemory) {
      const algorithm = algorithmOf(this.#want.digest)
      const hex = createHash(algorithm).update(this.#window.firstSlot).digest('hex')
      const digest = parseDigest(`${algorithm}:${hex}`)
      if (digest === undefined) throw new Error('a hash is a digest')
      return digest
    }
    this.#write(this.#window.handOver())
    await this.#opening
    await this.#reserving
    if (this.#failure !== undefined) throw this.#failure
    if (this.#writing === undefined) throw new Failure('stopping', 'the intake was closed')
    return this.#writing.digest()
  }

  async #cutTo(position: number): Promise<void> {
    if (this.#closing !== undefined) throw new Failure('stopping', 'the intake was closed')
    if (position === this.position) return
    if (position === 0 || this.#inMemory || !this.isStorable) return this.restart()
    // Also for the thread to be past all that it was told to write.
    await this.#digest()
    if (!this.isStorable || this.#file === undefined) return this.restart()
    try {
      await this.#writing?.end()
      await this.#file.truncate(position)
    } catch (cause) {
      const failure = diskFailure(`cannot take back what came of ${this.#want.digest}`, cause)
      this.#fail(failure)
      throw failure
    }
    this.#window.release()
    this.#window = new WriteWindow(this.#parts.memory, this.#borrower, position)
    this.#queued = []
    this.#verified = undefined
    this.checkpoints.truncate(position / CHECKPOINT_INTERVAL_BYTES)
    this.#written = position
    this.#onDisk = position
    this.#syncedTo = Math.min(this.#syncedTo, position)
    this.#writing = this.#startWriting(this.#file, position)
    this.wake()
  }

  async #commit(facts: {
    mediaType: string | undefined
    origin: string
    references: readonly Digest[]
    subject: Digest | undefined
  }): Promise<boolean> {
    const { digest, kind, repository } = this.#want
    const found = await this.digest()
    if (found !== digest) {
      throw new Failure('corrupt', 'only what was asked for is stored', { expected: digest, found })
    }
    await this.#reserving
    if (!this.isStorable) return false
    const size = this.position
    const { mediaType, origin, references, subject } = facts
    try {
      if (this.#inMemory) {
        await this.#parts.blobFiles.putBytes(digest, this.#window.firstSlot)
      } else {
        if (this.#file === undefined) throw new Failure('stopping', 'the intake was closed')
        await this.#file.sync()
        await this.#parts.blobFiles.put(digest, this.#parts.partials.data(digest))
      }
      try {
        await this.#parts.entries.put(
          { digest, size, kind, mediaType, origin, storedAt: Date.now() },
          {
            references,
            subject,
            repository,
            marks: size > CHECKPOINT_INTERVAL_BYTES ? this.checkpoints.since(0) : undefined,
          },
        )
        this.#committed = true
      } catch (cause) {
        // Nobody would know of it, or count it.
        await rm(this.#parts.blobFiles.path(digest), { force: true }).catch(() => {})
        throw cause
      }
    } catch (cause) {
      this.#refuse(diskFailure(`cannot store ${digest}`, cause))
      return false
    }
    this.#release()
    publish('store.committed', { digest, size })
    return true
  }

  async #close(): Promise<void> {
    clearTimeout(this.#soon)
    const { digest } = this.#want
    const { partials, memory } = this.#parts
    try {
      await this.#committing?.catch(() => {})
      await this.#cutting?.catch(() => {})
      await this.#reserving
      if (!this.#inMemory) {
        if (!this.#committed && this.isStorable && this.#failure === undefined)
          this.#write(this.#window.handOver())
        await this.#letGoOfFile()
        // A full disk must get its room back, and after a failed sync nobody knows what is in the file.
        const isOver = this.#committed || !this.isStorable || this.#failure !== undefined
        if (isOver || this.position === 0) await partials.remove(digest)
        else partials.leave(digest)
      }
    } catch {
      // Called in `finally`, where it must not hide what went wrong before. The next start sweeps what is left here.
    } finally {
      this.#waiter?.reject(new Failure('stopping', 'the intake was closed'))
      this.#waiter = undefined
      this.#release()
      this.#window.release()
      memory.leave(this.#borrower)
      this.#onClosed()
    }
  }

  async #letGoOfFile(): Promise<void> {
    await this.#opening
    await this.#writing?.end()
    await this.#file?.close()
    await this.#dropping
    this.#dropping = undefined
    this.#queued = []
    this.#opening = undefined
    this.#writing = undefined
    this.#file = undefined
  }
}

function waiter(): Deferred<void> {
  const waiting = new Deferred<void>()
  waiting.promise.catch(() => {})
  return waiting
}
