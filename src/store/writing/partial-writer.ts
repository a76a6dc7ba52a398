import type { LaneFile } from '../../lanes/lane-file.ts'
import type { Digest } from '../../oci/digest.ts'
import { Failure } from '../../ports/failure.ts'
import type { Want } from '../../ports/source.ts'
import { diskFailure } from '../files/layout.ts'
import { PartialFile } from './partial-file.ts'
import type { ProgressSignal } from './progress-signal.ts'
import type { PublishAs } from './publish-as.ts'
import type { RoomReservation } from './room-reservation.ts'
import type { StoreParts } from './store-parts.ts'
import type { WindowPiece, WriteWindow } from './write-window.ts'

/**
 * Slow connections bring hundreds of small pieces a second: less than `bytes` is not worth waking both threads at once. A smaller
 * piece is handed over after `ms`, which readers do not notice.
 */
const HAND_OVER = { bytes: 64 * 1024, ms: 4 }
/** A content of provisional digest has no readers: only the lane must not become idle. */
const HAND_OVER_WITHOUT_READERS = { bytes: 256 * 1024, ms: 40 }
/** A content whose lanes die again and again is at fault itself. */
const MOST_DEATHS = 3

/** The incoming whose bytes are written. */
export interface PartialOwner {
  readonly want: Want
  readonly publishAs: PublishAs | undefined
  readonly parts: StoreParts
  readonly reservation: RoomReservation
  readonly signal: ProgressSignal
  /** The content cannot be stored any more: from now on it is only hashed, and passed on to readers. */
  passThrough(failure: Failure): void
  /** All up to `position` is hashed, and can be read. */
  hashedTo(position: number, checkpoints: Uint8Array | undefined): void
}

/**
 * Hands the pieces of one write window to a lane, which hashes them and appends them to the partial. Pieces wait in
 * the window until the file exists and its room is granted. From where the file takes no more, bytes are only hashed, and
 * stay in the window for readers. A writer lives as long as its window: from when the content outgrows memory, or a partial
 * is resumed, until `end` or `cutFile`.
 */
export class PartialWriter {
  readonly #owner: PartialOwner
  readonly #window: WriteWindow
  readonly #opening: Promise<void> | undefined
  #file: PartialFile | undefined
  #thread: LaneFile | undefined
  /** Handed over by the window, and not sent to the thread yet. */
  #queued: WindowPiece[] = []
  #handOverTimer: NodeJS.Timeout | undefined
  #isHashOnly: boolean
  /** Where the file ends, once it takes no more bytes. */
  #fileEnd: number | undefined
  #removal: Promise<void> | undefined
  #isFinishing = false
  /** The work of the thread is ended, or about to be. */
  #isEnded = false
  /** What the lane has reported as written, or found in the file. */
  #written: number
  #deaths = 0

  /** Makes the writer of a content that has no partial yet. With `isHashOnly` it will not get one. */
  static create(owner: PartialOwner, window: WriteWindow, isHashOnly: boolean): PartialWriter {
    return new PartialWriter(owner, window, { isHashOnly })
  }

  /** Makes the writer of a partial that the window continues: the thread hashes its bytes while new bytes arrive. */
  static resume(owner: PartialOwner, window: WriteWindow, file: PartialFile): PartialWriter {
    return new PartialWriter(owner, window, { file })
  }

  private constructor(
    owner: PartialOwner,
    window: WriteWindow,
    { file, isHashOnly = false }: { file?: PartialFile; isHashOnly?: boolean },
  ) {
    this.#owner = owner
    this.#window = window
    this.#file = file
    this.#isHashOnly = isHashOnly
    this.#written = file === undefined ? 0 : window.position
    if (file === undefined) this.#opening = this.#open()
    else this.#thread = this.#startThread(window.position)
  }

  get hasFile(): boolean {
    return this.#file !== undefined
  }

  /** Bytes from the start that can be read from the file. */
  get readableBytes(): number {
    return this.#file?.readableBytes ?? 0
  }

  /** Where the file ends, once it takes no more bytes: what follows is only in the window. */
  get fileEnd(): number | undefined {
    return this.#fileEnd
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    return this.#file === undefined ? 0 : this.#file.read(target, position)
  }

  write(piece: WindowPiece | undefined): void {
    if (piece === undefined) return
    this.#queued.push(piece)
    this.sendQueued()
  }

  /** To be called when a request for room has been answered. */
  sendQueued(): void {
    if (this.#thread === undefined || this.#owner.reservation.isPending) return
    for (const { offset, length } of this.#queued.splice(0)) this.#thread.write(offset, length)
  }

  /** Unless the thread has work of this content: hands a large piece over at once, and a small one soon. */
  handOverIfIdle(): void {
    const window = this.#window
    if (this.#isFinishing || window.unwritten.length > 0) return
    const { bytes, ms } = this.#owner.publishAs === undefined ? HAND_OVER : HAND_OVER_WITHOUT_READERS
    if (window.pendingBytes >= bytes) this.write(window.handOver())
    else if (window.pendingBytes > 0) {
      this.#handOverTimer ??= setTimeout(() => {
        this.#handOverTimer = undefined
        if (!this.#isFinishing && window.unwritten.length === 0) this.write(window.handOver())
      }, ms)
    }
  }

  /** The content is pass-through from now on. Commands that the thread has already may still write to the file. */
  hashOnly(): void {
    this.#isHashOnly = true
    this.#thread?.hashOnly()
  }

  /** Gives the digest of all bytes that the window has taken. */
  async digest(): Promise<Digest> {
    const { reservation, signal } = this.#owner
    this.write(this.#window.handOver())
    await this.#opening
    await reservation.settled()
    if (signal.failure !== undefined) throw signal.failure
    if (this.#thread === undefined) throw closed()
    // The thread obeys commands in order: what is still queued belongs before the request for the digest.
    this.sendQueued()
    for (;;) {
      const thread: LaneFile = this.#thread
      try {
        return await thread.digest()
      } catch (error) {
        // Another lane has taken over.
        if (thread === this.#thread || this.#thread === undefined) throw error
      }
    }
  }

  /** All readers are past `position`. Once they are past the end of a file that takes no more, the disk gets its room back. */
  discardBefore(position: number): void {
    if (this.#fileEnd === undefined) return
    this.#window.keepFrom(Math.max(this.#fileEnd, position))
    if (position >= this.#fileEnd && this.#file !== undefined) this.#removal = this.#remove(this.#file)
  }

  /** Makes the file durable, as the last step before it becomes a stored blob. */
  async sync(): Promise<void> {
    if (this.#file === undefined) throw closed()
    await this.#file.sync()
  }

  /** Ends the thread's work and takes back what follows `position`. The file belongs to the caller after that. */
  async cutFile(position: number): Promise<PartialFile> {
    this.#stopTimer()
    if (this.#file === undefined) throw closed()
    this.#isEnded = true
    await this.#thread?.end()
    await this.#file.truncate(position)
    return this.#file
  }

  /** From now on nothing is handed over by itself: the incoming is being closed. */
  finish(): void {
    this.#isFinishing = true
    this.#stopTimer()
  }

  /** Hands over what the window has left. */
  handOverRest(): void {
    this.write(this.#window.handOver())
  }

  /** Resolves when the thread no longer touches window and file, and the file is closed. */
  async end(): Promise<void> {
    this.#stopTimer()
    await this.#opening
    this.#isEnded = true
    await this.#thread?.end()
    await this.#file?.close()
    await this.#removal
    this.#queued = []
    this.#thread = undefined
    this.#file = undefined
  }

  #stopTimer(): void {
    clearTimeout(this.#handOverTimer)
    this.#handOverTimer = undefined
  }

  async #open(): Promise<void> {
    const { want, publishAs, parts, reservation, signal } = this.#owner
    await reservation.settled()
    if (!this.#isHashOnly && signal.failure === undefined) {
      try {
        this.#file = new PartialFile(
          await parts.partials.create(want, { isProvisional: publishAs !== undefined }),
          want.digest,
        )
      } catch (cause) {
        this.#owner.passThrough(diskFailure(`cannot create a partial for ${want.digest}`, cause))
      }
    }
    if (signal.failure !== undefined) return
    if (this.#file === undefined) this.#onFull(0, undefined)
    this.#thread = this.#startThread(0)
    if (this.#isHashOnly) this.#thread.hashOnly()
    this.sendQueued()
  }

  #startThread(from: number): LaneFile {
    const { parts, signal, want } = this.#owner
    return parts.lanes.open(this.#file?.fd, want.digest, from, {
      written: (position, checkpoints) => this.#onWritten(position, checkpoints),
      full: (position, failure) => this.#onFull(position, failure),
      failed: (failure) => signal.fail(failure),
      died: (failure) => this.#onDied(failure),
    })
  }

  /**
   * Continues in another lane, which hashes again what the file has, and gets the pieces that were not written. What is only in
   * memory cannot be hashed again.
   */
  #onDied(failure: Failure): void {
    if (this.#isEnded) return
    this.#deaths += 1
    const canContinue = this.#file !== undefined && this.#fileEnd === undefined && !this.#isHashOnly
    if (!canContinue || this.#deaths > MOST_DEATHS) {
      this.#owner.signal.fail(failure)
      return
    }
    const { unwritten } = this.#window
    const sent = unwritten.slice(0, unwritten.length - this.#queued.length)
    this.#thread = this.#startThread(this.#written)
    for (const { offset, length } of sent) this.#thread.write(offset, length)
  }

  #onWritten(position: number, checkpoints: Uint8Array | undefined): void {
    const { signal } = this.#owner
    this.#written = Math.max(this.#written, position)
    if (this.#fileEnd === undefined) this.#file?.grewTo(position)
    this.#window.written(position)
    this.handOverIfIdle()
    if (!this.#isFinishing && !this.#isHashOnly)
      this.#file?.syncEarly(position, (failure) => signal.fail(failure))
    this.#owner.hashedTo(position, checkpoints)
  }

  #onFull(position: number, failure: Failure | undefined): void {
    const { want, reservation } = this.#owner
    if (failure !== undefined) this.#owner.passThrough(diskFailure(`cannot store ${want.digest}`, failure))
    this.#fileEnd = position
    this.#file?.endsAt(position)
    this.#window.keepFrom(position)
    reservation.release()
  }

  async #remove(file: PartialFile): Promise<void> {
    const { want, parts } = this.#owner
    this.#file = undefined
    await file.close().catch(() => {})
    await parts.partials.remove(want.digest).catch(() => {})
  }
}

function closed(): Failure {
  return new Failure('stopping', 'the incoming content was closed')
}
