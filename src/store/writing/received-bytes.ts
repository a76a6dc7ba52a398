import { type Borrower, UNIT_BYTES } from '../../lanes/shared-memory.ts'
import { CHECKPOINT_BYTES, CHECKPOINT_INTERVAL_BYTES, type Checkpoints } from '../../oci/checkpoints.ts'
import { algorithmOf, type Digest, digestOf } from '../../oci/digest.ts'
import { Failure } from '../../ports/failure.ts'
import type { Want } from '../../ports/source.ts'
import type { PartialFile } from './partial-file.ts'
import { type PartialOwner, PartialWriter } from './partial-writer.ts'
import type { ProgressSignal } from './progress-signal.ts'
import type { PublishAs } from './publish-as.ts'
import type { RoomReservation } from './room-reservation.ts'
import type { StoreParts } from './store-parts.ts'
import { WriteWindow } from './write-window.ts'

/** After a failure the source may still bring bytes: they go into a buffer of 64 KiB that no reader gets. */
const DISCARD_BYTES = 65536

/** What the parts of one incoming share. */
export interface IncomingContext {
  /** Its digest is provisional when `publishAs` is given. */
  readonly want: Want
  readonly publishAs: PublishAs | undefined
  /** The partial stays for a later attempt unless it is stored. */
  readonly keepsPartial: boolean
  readonly parts: StoreParts
  readonly borrower: Borrower
  readonly reservation: RoomReservation
  readonly signal: ProgressSignal
  readonly checkpoints: Checkpoints
  /** The content will be stored if its digest is right. */
  isStorable(): boolean
  /** The content cannot be stored any more: from now on it is only hashed, and passed on to readers. */
  passThrough(failure: Failure): void
}

/**
 * The bytes of one incoming: their write window and, once they have outgrown its first slot, the writer of their partial.
 * A small content has no file before it is stored. The source fills the memory that `buffer` gives, and readers read from
 * the file and the window. The incoming owns this object: it replaces it when bytes are taken back, and releases it after
 * the writer has ended.
 */
export class ReceivedBytes {
  readonly #context: IncomingContext
  readonly #window: WriteWindow
  /** Undefined while all bytes are in the first slot of the window. */
  #partial: PartialWriter | undefined
  #written: number
  /** Readers need nothing before this position. */
  #discardedTo: number
  #discard: Uint8Array | undefined
  #isReleased = false

  /** `written`: what of the bytes before `position` can be read already. `file`: the file that has them. */
  constructor(
    context: IncomingContext,
    { position, written = 0, discardedTo = 0 }: { position: number; written?: number; discardedTo?: number },
    file?: PartialFile,
  ) {
    this.#context = context
    this.#window = new WriteWindow(context.parts.memory, context.borrower, position)
    this.#written = written
    this.#discardedTo = discardedTo
    if (file !== undefined) this.#partial = PartialWriter.resume(this.#partialOwner(), this.#window, file)
  }

  get position(): number {
    return this.#window.position
  }

  get written(): number {
    return this.#written
  }

  /**
   * The first byte that can be read: all bytes before `fileEnd` go at once, with the file, as soon as no reader needs any of
   * them.
   */
  get readableFrom(): number {
    const isFileGone = this.#partial?.fileEnd !== undefined && !this.#partial.hasFile
    return isFileGone ? this.#discardedTo : 0
  }

  get discardedTo(): number {
    return this.#discardedTo
  }

  get partial(): PartialWriter | undefined {
    return this.#partial
  }

  /** Memory that the source can fill now; as in `Intake`, like `nextBuffer`, `filled` and `drained`. */
  buffer(): Uint8Array {
    const { free } = this.#window
    if (this.#context.signal.isOpen && free.length > 0) return free
    this.#discard ??= new Uint8Array(new SharedArrayBuffer(DISCARD_BYTES))
    return this.#discard
  }

  nextBuffer(): Uint8Array | undefined {
    return this.#context.signal.isOpen ? this.#window.nextSlot : undefined
  }

  filled(length: number): boolean {
    const { signal } = this.#context
    if (!signal.isOpen) return false
    if (this.#window.free.length === 0) {
      signal.fail(new Failure('disk', 'more bytes came than the buffer holds'))
      return false
    }
    this.#fill(length)
    return this.#hasRoom()
  }

  async drained(): Promise<void> {
    const { signal } = this.#context
    if (signal.failure !== undefined) throw signal.failure
    if (!this.#hasRoom()) await signal.waitForDrain()
  }

  /** Lets the source continue if there is memory again. */
  wake(): void {
    const { signal } = this.#context
    if (!signal.isOpen || !this.#hasRoom()) return
    if (this.#window.free.length === 0) this.#changeSlot()
    signal.drain()
  }

  /** Readers need nothing before `position`: memory or disk may become free. */
  discardBefore(position: number): void {
    this.#discardedTo = Math.max(this.#discardedTo, Math.min(position, this.#written))
    if (this.#partial?.fileEnd === undefined) return
    this.#partial.discardBefore(this.#discardedTo)
    this.wake()
  }

  /** Reads from memory what is still there, which costs less than a trip through the thread pool, or else from the file. */
  async read(target: Uint8Array, position: number): Promise<number> {
    const length = Math.min(target.length, this.#written - position)
    if (length <= 0) return 0
    const wanted = target.subarray(0, length)
    const isInFile = this.#partial !== undefined && position < this.#partial.readableBytes
    if (!isInFile && this.#context.signal.isClosing) throw new Error('the incoming content is closed')
    const count = this.#isReleased ? 0 : this.#window.copy(wanted, position)
    if (count > 0) return count
    if (this.#partial !== undefined && isInFile) return this.#partial.read(wanted, position)
    throw new Failure('disk', `byte ${position} of ${this.#context.want.digest} is no longer in memory`)
  }

  /** Waits until all bytes are hashed. */
  async digest(): Promise<Digest> {
    const { signal, want } = this.#context
    if (signal.failure !== undefined) throw signal.failure
    if (this.#partial !== undefined) return this.#partial.digest()
    return digestOf(this.#window.firstSlot, algorithmOf(want.digest))
  }

  /** Puts the bytes into the blob file of their digest. They are durable when the call resolves. */
  async moveToBlobFile(digest: Digest): Promise<void> {
    const { want, parts } = this.#context
    if (this.#partial === undefined) return parts.blobFiles.putBytes(digest, this.#window.firstSlot)
    await this.#partial.sync()
    await parts.blobFiles.put(digest, parts.partials.dataPath(want.digest))
  }

  /** Ends the writer, and moves bytes that are wrong to the quarantine where that is possible. */
  async moveToQuarantine(): Promise<void> {
    const { quarantine, partials } = this.#context.parts
    const { digest } = this.#context.want
    if (this.#partial === undefined) {
      const bytes = Uint8Array.from(this.#window.firstSlot)
      if (this.#context.isStorable() && bytes.length > 0)
        await quarantine.writeFile(digest, bytes).catch(() => {})
      return
    }
    await this.#partial.end()
    // A file that cannot be moved is removed with the rest of the partial. A part of the bytes is not worth keeping.
    if (this.#context.isStorable())
      await quarantine.moveFile(digest, partials.dataPath(digest)).catch(() => {})
    await partials.remove(digest)
  }

  /** Gives the memory back. The writer must have ended before. */
  release(): void {
    this.#isReleased = true
    this.#window.release()
  }

  /** A content that is not stored may get no memory but the slot that is being filled, until readers have moved on. */
  #hasRoom(): boolean {
    // Memory that is given back wakes this incoming too: it must not take a slot for bytes that are gone.
    if (this.#isReleased) return false
    if (this.#window.takeNextSlot()) return true
    if (this.#context.isStorable()) return false
    const free = this.#window.free.length
    return free >= UNIT_BYTES || this.#context.reservation.expectedBytes - this.position <= free
  }

  #fill(length: number): void {
    const window = this.#window
    window.fill(length)
    // A content in memory is readable at once: its bytes stay in the slot until they are in a file.
    if (this.#partial === undefined) this.#advance(window.position)
    if (window.isSlotChangeDue) this.#changeSlot()
    else this.#partial?.handOverIfIdle()
  }

  /** Continues with the next slot. A content that has outgrown its first slot needs a file. */
  #changeSlot(): void {
    this.#partial ??= PartialWriter.create(this.#partialOwner(), this.#window, !this.#context.isStorable())
    this.#partial.write(this.#window.changeSlot())
  }

  #partialOwner(): PartialOwner {
    return {
      ...this.#context,
      hashedTo: (position: number, checkpoints: Uint8Array | undefined) =>
        this.#hashedTo(position, checkpoints),
    }
  }

  /** After a cut the thread hashes bytes again whose checkpoints are known already. */
  #hashedTo(position: number, checkpoints: Uint8Array | undefined): void {
    const { checkpoints: all } = this.#context
    if (checkpoints !== undefined) {
      const first = Math.floor(position / CHECKPOINT_INTERVAL_BYTES) - checkpoints.length / CHECKPOINT_BYTES
      const known = all.count - first
      if (known >= 0) all.append(checkpoints.subarray(known * CHECKPOINT_BYTES))
    }
    this.#advance(position)
  }

  #advance(position: number): void {
    if (position <= this.#written) return
    this.#written = position
    this.#context.signal.notify()
  }
}
