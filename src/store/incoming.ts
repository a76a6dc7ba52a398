import { createHash } from 'node:crypto'
import { publish } from '../observe/events.ts'
import { algorithmOf, type Digest, parseDigest } from '../oci/digest.ts'
import type { Incoming } from '../resolve/blob-store.ts'
import { Failure } from '../resolve/failure.ts'
import type { Want } from '../resolve/source.ts'
import type { Entries } from './entries.ts'
import { Filling, type Piece } from './filling.ts'
import { diskFailure } from './layout.ts'
import type { OpenFile } from './open-file.ts'
import type { Partials } from './partials.ts'
import type { Quarantine } from './quarantine.ts'
import type { Room } from './room.ts'
import type { Borrower, SharedMemory } from './shared-memory.ts'
import type { Shelves } from './shelves.ts'
import type { Writers } from './writer.ts'
import type { WrittenFile } from './written-file.ts'

/** What a blob on its way in needs of the store. */
export interface Yard {
  readonly memory: SharedMemory
  readonly room: Room
  readonly writers: Writers
  readonly partials: Partials
  readonly shelves: Shelves
  readonly quarantine: Quarantine
  readonly entries: Entries
}

/** Where bytes go that come in spite of everything after the intake has failed. */
const SPILL_BYTES = 65536
/** After so much the disk is told to begin, so that the sync at the end of a large blob finds little left to do. */
const SYNC_EVERY = 32 * 1024 * 1024

/**
 * A blob on its way in. Until it outgrows its first slot it is in memory and has no file; small ones never have one before
 * they are stored. After that a writer thread hashes and writes slot after slot: what has been filled is handed over at
 * once when the thread has nothing else of this blob to do, and slot by slot when it has.
 */
export class DiskIncoming implements Incoming {
  readonly #want: Want
  readonly #yard: Yard
  readonly #place: Borrower
  readonly #onClosed: () => void
  #filling: Filling
  #written = 0
  /** Bytes that the thread has written. */
  #onDisk = 0
  #syncedTo = 0
  #syncing = false
  /** Everything so far is in the first slot, there is no file. */
  #inMemory = true
  #opening: Promise<void> | undefined
  #file: OpenFile | undefined
  #writing: WrittenFile | undefined
  #failure: Failure | undefined
  #listener: ((failure: Error | undefined) => void) | undefined
  #waiter: { readonly promise: Promise<void>; resolve(): void; reject(failure: Failure): void } | undefined
  #spill: Uint8Array | undefined
  #verified: { readonly position: number; readonly digest: Digest } | undefined
  #committing: Promise<void> | undefined
  #committed = false
  #closing: Promise<void> | undefined

  static async begin(want: Want, yard: Yard, onClosed: () => void): Promise<DiskIncoming> {
    // Called only when somebody else gives memory back, by which time there is an incoming to wake.
    let begun: DiskIncoming | undefined
    const place = await yard.memory.join(() => begun?.wake())
    try {
      const left = await yard.partials.resume(want.digest)
      begun = new DiskIncoming(want, yard, place, left?.size ?? 0, onClosed)
      if (want.kind === 'blob') yard.writers.prepare()
      if (left !== undefined) begun.#goOn(left.file)
      return begun
    } catch (cause) {
      yard.memory.leave(place)
      throw diskFailure(`cannot begin to take ${want.digest}`, cause)
    }
  }

  private constructor(want: Want, yard: Yard, place: Borrower, position: number, onClosed: () => void) {
    this.#want = want
    this.#yard = yard
    this.#place = place
    this.#onClosed = onClosed
    this.#filling = new Filling(yard.memory, place, position)
  }

  get position(): number {
    return this.#filling.position
  }

  get written(): number {
    return this.#written
  }

  buffer(): Uint8Array {
    if (this.#failure === undefined && this.#closing === undefined) {
      const { room } = this.#filling
      if (room.length > 0) return room
      this.#fail(new Failure('disk', 'more bytes came than there was room for'))
    }
    this.#spill ??= new Uint8Array(SPILL_BYTES)
    return this.#spill
  }

  filled(length: number): boolean {
    if (this.#failure !== undefined || this.#closing !== undefined) return false
    const filling = this.#filling
    filling.fill(length)
    if (this.#inMemory) {
      // Stays readable in the slot until it is in a file.
      this.#advance(filling.position)
      if (!filling.isTurnDue) return filling.hasNext
      this.#inMemory = false
      this.#opening = this.#open()
    }
    if (filling.isTurnDue) this.#write(filling.turn())
    else if (filling.unwritten.length === 0) this.#write(filling.handOver())
    return filling.hasNext
  }

  async drained(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#filling.hasNext) return
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
      // Beyond what is on disk `written` reaches only over the first slot.
      if (this.#closing !== undefined) throw new Error('the intake is closed')
      target.set(this.#filling.oldest.subarray(position, position + length))
      return length
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
  }): Promise<void> {
    this.#committing ??= this.#commit(facts).finally(() => {
      this.#committing = undefined
    })
    return this.#committing
  }

  async restart(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    const { digest } = this.#want
    if (this.#inMemory) {
      const bytes = Uint8Array.from(this.#inSlot())
      if (bytes.length > 0) await this.#yard.quarantine.keep(digest, bytes).catch(() => {})
    } else {
      try {
        await this.#letGoOfFile()
        // Where it cannot be kept it is removed with the rest of the partial.
        await this.#yard.quarantine.move(digest, this.#yard.partials.data(digest)).catch(() => {})
        await this.#yard.partials.remove(digest)
      } catch (cause) {
        const failure = diskFailure(`cannot put aside what came of ${digest}`, cause)
        this.#fail(failure)
        throw failure
      }
    }
    this.#filling.end()
    this.#filling = new Filling(this.#yard.memory, this.#place, 0)
    this.#verified = undefined
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
    if (this.#failure !== undefined || this.#closing !== undefined) return
    if (!this.#filling.reserve()) return
    this.#waiter?.resolve()
    this.#waiter = undefined
  }

  /** What an earlier attempt has left is hashed by the thread, while new bytes come already. */
  #goOn(file: OpenFile): void {
    this.#inMemory = false
    this.#file = file
    this.#writing = this.#startWriting(file, this.position)
  }

  async #open(): Promise<void> {
    try {
      this.#file = await this.#yard.partials.create(this.#want)
    } catch (cause) {
      this.#fail(diskFailure(`cannot make a file for ${this.#want.digest}`, cause))
      return
    }
    if (this.#failure !== undefined) return
    this.#writing = this.#startWriting(this.#file, 0)
    for (const piece of this.#filling.unwritten) this.#write(piece)
  }

  #startWriting(file: OpenFile, from: number): WrittenFile {
    return this.#yard.writers.open(file.fd, this.#want.digest, from, {
      written: (position) => this.#onWritten(position),
      failed: (failure) => this.#fail(failure),
    })
  }

  /** Until there is a file, what is handed over waits in its slots. */
  #write(piece: Piece | undefined): void {
    if (piece !== undefined) this.#writing?.write(piece.offset, piece.length)
  }

  #onWritten(position: number): void {
    this.#onDisk = position
    this.#filling.written(position)
    if (this.#closing === undefined) {
      if (this.#filling.unwritten.length === 0) this.#write(this.#filling.handOver())
      if (position - this.#syncedTo >= SYNC_EVERY && !this.#syncing && this.#file !== undefined) {
        void this.#syncEarly(this.#file)
      }
    }
    this.#advance(position)
  }

  /** While everything is in memory: all of it. */
  #inSlot(): Uint8Array {
    return this.#filling.oldest.subarray(0, this.position)
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
      const hex = createHash(algorithm).update(this.#inSlot()).digest('hex')
      const digest = parseDigest(`${algorithm}:${hex}`)
      if (digest === undefined) throw new Error('a hash is a digest')
      return digest
    }
    this.#write(this.#filling.handOver())
    await this.#opening
    if (this.#failure !== undefined) throw this.#failure
    if (this.#writing === undefined) throw new Failure('stopping', 'the intake was closed')
    return this.#writing.digest()
  }

  async #commit(facts: {
    mediaType: string | undefined
    origin: string
    references: readonly Digest[]
    subject: Digest | undefined
  }): Promise<void> {
    const { digest, kind, repository } = this.#want
    const found = await this.digest()
    if (found !== digest) {
      throw new Failure('corrupt', 'only what was asked for is stored', { expected: digest, found })
    }
    const size = this.position
    const { mediaType, origin, references, subject } = facts
    try {
      if (this.#inMemory) {
        await this.#yard.shelves.putBytes(digest, this.#inSlot())
      } else {
        if (this.#file === undefined) throw new Failure('stopping', 'the intake was closed')
        await this.#file.sync()
        await this.#yard.shelves.put(digest, this.#yard.partials.data(digest))
      }
      this.#committed = true
      await this.#yard.entries.put(
        { digest, size, kind, mediaType, origin, storedAt: Date.now() },
        { references, subject, repository },
      )
    } catch (cause) {
      const failure = diskFailure(`cannot store ${digest}`, cause)
      this.#fail(failure)
      throw failure
    }
    publish('store.committed', { digest, size })
  }

  async #close(): Promise<void> {
    const { digest } = this.#want
    const { partials, memory } = this.#yard
    try {
      await this.#committing?.catch(() => {})
      if (!this.#inMemory) {
        if (!this.#committed && this.#failure === undefined) this.#write(this.#filling.handOver())
        await this.#letGoOfFile()
        // A full disk must get its room back, and after a failed sync nobody knows what is in the file.
        if (this.#committed || this.#failure !== undefined || this.position === 0)
          await partials.remove(digest)
        else partials.leave(digest)
      }
    } catch {
      // Called in `finally`, where it must not hide what went wrong before. The next start sweeps what is left here.
    } finally {
      this.#waiter?.reject(new Failure('stopping', 'the intake was closed'))
      this.#waiter = undefined
      this.#filling.end()
      memory.leave(this.#place)
      this.#onClosed()
    }
  }

  async #letGoOfFile(): Promise<void> {
    await this.#opening
    await this.#writing?.end()
    await this.#file?.close()
    this.#opening = undefined
    this.#writing = undefined
    this.#file = undefined
  }
}

function waiter(): { promise: Promise<void>; resolve(): void; reject(failure: Failure): void } {
  let resolve = (): void => {}
  let reject = (_: Failure): void => {}
  const promise = new Promise<void>((yes, no) => {
    resolve = yes
    reject = no
  })
  promise.catch(() => {})
  return { promise, resolve, reject }
}
