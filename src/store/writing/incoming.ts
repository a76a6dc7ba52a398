import type { Borrower } from '../../lanes/shared-memory.ts'
import { CHECKPOINT_INTERVAL_BYTES, Checkpoints } from '../../oci/checkpoints.ts'
import type { Digest } from '../../oci/digest.ts'
import type { BytesAhead, Incoming } from '../../ports/blob-store.ts'
import { Failure } from '../../ports/failure.ts'
import type { Want } from '../../ports/source.ts'
import { AheadFile } from '../files/ahead-file.ts'
import { diskFailure } from '../files/layout.ts'
import type { ResumedPartial } from '../files/partials.ts'
import { type CommitFacts, Completion } from './completion.ts'
import { PartialFile } from './partial-file.ts'
import type { PartialWriter } from './partial-writer.ts'
import { ProgressSignal } from './progress-signal.ts'
import type { PublishAs } from './publish-as.ts'
import { type IncomingContext, ReceivedBytes } from './received-bytes.ts'
import { RoomReservation } from './room-reservation.ts'
import type { StoreParts } from './store-parts.ts'

/**
 * One content on its way into the store. Each part of it with a shorter life is an object of its own, which the incoming
 * replaces and frees: `ReceivedBytes` until a restart or a cut, the reservation until no room is needed. `close` frees all.
 */
export class DiskIncoming implements Incoming {
  readonly checkpoints = new Checkpoints()
  readonly #want: Want
  readonly #parts: StoreParts
  readonly #borrower: Borrower
  readonly #onClosed: () => void
  readonly #signal = new ProgressSignal()
  readonly #reservation: RoomReservation
  readonly #completion: Completion
  readonly #context: IncomingContext
  #bytes: ReceivedBytes
  #passThroughReason: Failure | undefined
  #cutting: Promise<void> | undefined
  #closing: Promise<void> | undefined

  /** With `publishAs` the digest of `want` is provisional. The partial of an upload must be there, and stays at the end. */
  static async begin(
    want: Want,
    parts: StoreParts,
    onClosed: () => void,
    { publishAs, isUpload = false }: { publishAs?: PublishAs; isUpload?: boolean } = {},
  ): Promise<DiskIncoming> {
    // The borrower is woken only when another one gives memory back, and by then `begun` is set.
    let begun: DiskIncoming | undefined
    const borrower = await parts.memory.join(() => begun?.wake())
    try {
      const partial = await (isUpload ? openUpload(want, parts) : parts.partials.resume(want.digest))
      if (want.kind === 'blob') parts.lanes.prepare()
      const keepsPartial = isUpload || publishAs === undefined
      begun = new DiskIncoming({ want, parts, borrower, publishAs, keepsPartial }, partial, onClosed)
      return begun
    } catch (cause) {
      parts.memory.leave(borrower)
      throw diskFailure(`cannot begin to receive ${want.digest}`, cause)
    }
  }

  private constructor(
    given: Pick<IncomingContext, 'want' | 'parts' | 'borrower' | 'publishAs' | 'keepsPartial'>,
    partial: ResumedPartial | undefined,
    onClosed: () => void,
  ) {
    const { want, parts, borrower } = given
    this.#want = want
    this.#parts = parts
    this.#borrower = borrower
    this.#onClosed = onClosed
    const passThrough = (failure: Failure): void => this.#passThrough(failure)
    this.#reservation = new RoomReservation(want.digest, parts.budget, {
      isWanted: () => this.isStorable && !this.#signal.isClosing,
      refused: passThrough,
      settled: () => this.#bytes.partial?.sendQueued(),
    })
    this.#context = {
      ...given,
      reservation: this.#reservation,
      signal: this.#signal,
      checkpoints: this.checkpoints,
      isStorable: () => this.isStorable,
      passThrough,
    }
    this.#completion = new Completion(this.#context)
    const file = partial && new PartialFile(partial.file, want.digest)
    this.#bytes = new ReceivedBytes(this.#context, { position: partial?.size ?? 0 }, file)
  }

  get position(): number {
    return this.#bytes.position
  }

  get written(): number {
    return this.#bytes.written
  }

  get readableFrom(): number {
    return this.#bytes.readableFrom
  }

  get isStorable(): boolean {
    return this.#passThroughReason === undefined
  }

  get passThroughReason(): Failure | undefined {
    return this.#passThroughReason
  }

  async reserve(size: number, total = size): Promise<boolean> {
    return (await this.#reservation.reserve(size, total)) && this.isStorable
  }

  discardBefore(position: number): void {
    this.#bytes.discardBefore(position)
  }

  buffer(): Uint8Array {
    return this.#bytes.buffer()
  }

  nextBuffer(): Uint8Array | undefined {
    return this.#bytes.nextBuffer()
  }

  filled(length: number): boolean {
    return this.#bytes.filled(length)
  }

  drained(): Promise<void> {
    return this.#bytes.drained()
  }

  onProgress(listener: (failure: Error | undefined) => void): void {
    this.#signal.listen(listener)
  }

  async openAhead(): Promise<BytesAhead> {
    return new AheadFile(await this.#parts.partials.openUnnamed(this.#want.digest))
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return this.#bytes.read(target, position)
  }

  digest(): Promise<Digest> {
    return this.#completion.digest(this.#bytes)
  }

  commit(facts: CommitFacts): Promise<boolean> {
    return this.#completion.commit(this.#bytes, facts)
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
    await this.#reservation.settled()
    if (this.#signal.failure !== undefined) throw this.#signal.failure
    try {
      await this.#bytes.moveToQuarantine()
    } catch (cause) {
      throw this.#fail(`cannot move the wrong bytes of ${this.#want.digest} to the quarantine`, cause)
    }
    this.#reservation.release()
    this.#passThroughReason = undefined
    this.#borrower.isLongTerm = false
    this.#replaceBytes(0)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Called when there may be memory again. */
  wake(): void {
    this.#bytes.wake()
  }

  #passThrough(failure: Failure): void {
    if (this.#passThroughReason !== undefined) return
    this.#passThroughReason = failure
    this.#borrower.isLongTerm = true
    this.#bytes.partial?.hashOnly()
    this.#signal.notify()
  }

  #fail(action: string, cause: unknown): Failure {
    const failure = diskFailure(action, cause)
    this.#signal.fail(failure)
    return failure
  }

  async #cutTo(position: number): Promise<void> {
    if (this.#signal.isClosing) throw new Failure('stopping', 'the incoming content was closed')
    if (position === this.position) return
    const { partial } = this.#bytes
    if (position === 0 || partial === undefined || !this.isStorable) return this.restart()
    // The answer comes after the thread has done all commands before it, and may show that the file is full.
    await this.#bytes.digest()
    if (!this.isStorable || !partial.hasFile) return this.restart()
    let file: PartialFile
    try {
      file = await partial.cutFile(position)
    } catch (cause) {
      throw this.#fail(`cannot cut the partial of ${this.#want.digest}`, cause)
    }
    this.#replaceBytes(position, file)
  }

  /** Continues at `position`, with the file that has the bytes before it. */
  #replaceBytes(position: number, file?: PartialFile): void {
    const discardedTo = file === undefined ? 0 : this.#bytes.discardedTo
    this.#bytes.release()
    this.#completion.forgetDigest()
    this.checkpoints.truncate(position / CHECKPOINT_INTERVAL_BYTES)
    this.#bytes = new ReceivedBytes(this.#context, { position, written: position, discardedTo }, file)
    this.wake()
  }

  async #close(): Promise<void> {
    this.#signal.beginClosing()
    this.#bytes.partial?.finish()
    try {
      await this.#completion.settled()
      await this.#cutting?.catch(() => {})
      await this.#reservation.settled()
      const { partial } = this.#bytes
      if (partial !== undefined) await this.#closePartial(partial)
    } catch {
      // `close` is called in `finally`, where it must not hide an earlier error. The next start sweeps what is left.
    } finally {
      this.#signal.close()
      this.#reservation.release()
      this.#bytes.release()
      this.#parts.memory.leave(this.#borrower)
      this.#onClosed()
    }
  }

  /** Leaves the partial for a later attempt, unless the content is stored or cannot be. */
  async #closePartial(partial: PartialWriter): Promise<void> {
    const { digest } = this.#want
    const { partials } = this.#parts
    const { isCommitted } = this.#completion
    if (!isCommitted && this.isStorable && this.#signal.failure === undefined) partial.handOverRest()
    await partial.end()
    const { keepsPartial, publishAs } = this.#context
    // After a failed sync the content of the file is unknown.
    const isOver = isCommitted || this.#signal.failure !== undefined || !keepsPartial
    // An upload goes on when the disk has room again. Of any other content a full disk must get its room back.
    const isWorthless = publishAs === undefined && (!this.isStorable || this.position === 0)
    if (isOver || isWorthless) await partials.remove(digest)
    else if (publishAs === undefined) partials.keepForLater(digest)
  }
}

async function openUpload({ digest }: Want, { partials }: StoreParts): Promise<ResumedPartial> {
  const partial = await partials.openUpload(digest)
  if (partial === undefined) throw new Failure('absent', `the upload ${digest} is gone`)
  return partial
}
