import { unlessAborted } from '../../lib/async/abort.ts'
import { Deferred } from '../../lib/async/deferred.ts'
import { publish } from '../../observe/events.ts'
import type { ByteRange } from '../../oci/range.ts'
import type { BlobStore, Incoming } from '../../ports/blob-store.ts'
import type { Content } from '../../ports/content.ts'
import { Failure } from '../../ports/failure.ts'
import type { Source, Want } from '../../ports/source.ts'
import type { AheadRoom } from './ahead/ahead-room.ts'
import { PartTransfer } from './ahead/part-transfer.ts'
import type { RequestSlots } from './ahead/request-slots.ts'
import { AttemptSequence } from './attempts/attempt-sequence.ts'
import { asFailure } from './attempts/pick-failure.ts'
import { DeclaredHead } from './bytes/declared-head.ts'
import type { ByteSource } from './bytes/provenance.ts'
import { ReceivedBytes } from './bytes/received-bytes.ts'
import type { Description } from './description.ts'
import type { FlightPolicy } from './flight-policy.ts'
import { PassThroughPacing } from './readers/pass-through-pacing.ts'
import { type Reader, Readers } from './readers/readers.ts'

export interface FlightOptions {
  readonly want: Want
  readonly store: BlobStore
  readonly sources: readonly Source[]
  readonly policy: FlightPolicy
  readonly rangeSlots: RequestSlots
  readonly aheadRoom: AheadRoom
  /**
   * Called when an earlier run has left all bytes, so that no source is asked. Throws unless the content is in the
   * repository.
   */
  readonly confirm: () => Promise<void>
  /** Called before a source is asked. */
  readonly beforeReading: () => Promise<void>
  /** Describes a verified content. */
  readonly describe: (incoming: Incoming, mediaType: string | undefined) => Promise<Description>
  /** Called when the flight is over, well or not, and must not be joined any more. */
  readonly onEnd: () => void
  /** Called when more or fewer bytes may be passed on, and at the end. */
  readonly onChange: () => void
}

/** What a flight has once the store has prepared to take its content. */
interface Transfer {
  readonly incoming: Incoming
  readonly received: ReceivedBytes
  readonly pacing: PassThroughPacing
  readonly parts: PartTransfer
}

/**
 * One transfer of one digest from outside into the store, which every client that wants the digest follows. It belongs
 * to no client: readers come and go, sources are asked one after another, and all readers learn the same end.
 */
export class Flight {
  readonly want: Want
  readonly startedAt = Date.now()
  readonly readers = new Readers({
    releasedBytes: () => this.released,
    releasedAhead: (offset) => this.#transfer?.parts.releasedFrom(offset) ?? 0,
    readableFrom: () => this.#transfer?.received.readableFrom ?? 0,
    onMove: () => {
      this.#transfer?.pacing.update()
      this.#transfer?.parts.changed()
    },
  })
  readonly #options: FlightOptions
  readonly #controller = new AbortController()
  readonly #declared = new DeclaredHead()
  #transfer: Transfer | undefined
  #isStored = false
  #stored: Content | undefined
  #isOver = false
  readonly #end = new Deferred<Failure | undefined>()

  constructor(options: FlightOptions) {
    this.want = options.want
    this.#options = options
  }

  /** Resolves when the flight is over; with the failure, if it has failed. */
  get ended(): Promise<Failure | undefined> {
    return this.#end.promise
  }

  get size(): number | undefined {
    return this.#declared.size
  }

  get position(): number {
    return this.#transfer?.received.position ?? 0
  }

  /** Who is asked now, or was asked last: an upstream host, or a peer. */
  get source(): ByteSource | undefined {
    return this.#transfer?.received.source
  }

  /** The kind of source that has brought most bytes; while there are none, the kind of the one that is asked. */
  get mainSourceKind(): Source['kind'] | undefined {
    return this.#transfer?.received.mainSourceKind
  }

  /** How many bytes from the start may be passed on. */
  get released(): number {
    return this.#transfer?.received.released ?? 0
  }

  /** The checkpoints from number `first` on, as far as the bytes can be relied on. */
  checkpoints(first = 0): Uint8Array {
    return this.#transfer?.received.checkpoints(first) ?? new Uint8Array()
  }

  abort(failure: Failure): void {
    this.#controller.abort(failure)
  }

  /** Gives undefined when bytes ahead that were readable were discarded, and must be waited for again. */
  async read(target: Uint8Array, position: number): Promise<number | undefined> {
    if (this.#stored !== undefined) return this.#stored.read(target, position)
    if (this.#transfer === undefined) throw new Failure('stopping', 'The transfer is over.')
    const { incoming, parts, received } = this.#transfer
    if (position < incoming.written || received.isVerified) return received.read(target, position)
    const count = await parts.read(target, position)
    return count > 0 ? count : undefined
  }

  /** The reader will read only these ranges. Gives whether they can come before the rest. */
  wantParts(reader: Reader, ranges: readonly ByteRange[]): boolean {
    return this.#transfer?.parts.want(reader, ranges) === true
  }

  /** Closes the file when the flight is over and this was the last reader. */
  async leave(reader: Reader): Promise<void> {
    this.#transfer?.parts.leave(reader)
    this.readers.leave(reader)
    await this.#closeIfUnread()
  }

  /** Carries the flight out and never rejects. Resolves when the content is stored, or will not be. */
  async run(): Promise<void> {
    const sizeTimer = setTimeout(() => {
      if (this.readers.knownHead === undefined) this.abort(this.#sizeTimeout())
    }, this.#options.policy.sizeTimeoutMs)
    let error: Failure | undefined
    try {
      await this.#deliver(await this.#begin())
    } catch (thrown) {
      error = asFailure(thrown, 'the transfer')
      if (!this.#isVerified) this.readers.fail(error)
    } finally {
      clearTimeout(sizeTimer)
      this.#transfer?.pacing.stop()
    }
    const passThroughReason = this.#transfer?.incoming.passThroughReason
    await this.#finish()
    publish('flight.ended', {
      ...this.want,
      size: this.size ?? this.position,
      ms: Date.now() - this.startedAt,
      waiters: this.readers.joinedCount,
      source: this.source?.name,
      isStored: this.#isStored,
      passThroughReason: passThroughReason?.message,
      error,
    })
    this.#end.resolve(error)
    this.#options.onChange()
  }

  /** Closes the file when the flight is over and its last reader has left. */
  async #closeIfUnread(): Promise<void> {
    if (!this.#isOver || this.readers.count > 0) return
    const stored = this.#stored
    this.#stored = undefined
    await stored?.close().catch(() => {})
    await this.#transfer?.received.close().catch(() => {})
  }

  get #isVerified(): boolean {
    return this.#transfer?.received.isVerified === true
  }

  async #begin(): Promise<Transfer> {
    const { store, sources, policy, beforeReading, rangeSlots: slots, aheadRoom: room } = this.#options
    const { want, readers } = this
    const { digest } = want
    const declared = this.#declared
    const flight = this.#controller
    const beginning = beforeReading().then(() => store.begin(want))
    let incoming: Incoming
    try {
      incoming = await unlessAborted(beginning, flight.signal)
    } catch (error) {
      void beginning.then((late) => late.close()).catch(() => {})
      throw error
    }
    const mayComeFromPeers = sources.some(({ kind }) => kind === 'peer')
    const received = new ReceivedBytes({ digest, incoming, declared, mayComeFromPeers })
    const pacing = new PassThroughPacing({ policy, incoming, declared, received, readers, flight })
    const onChange = (): void => readers.wake()
    const parts = new PartTransfer({ want, policy, incoming, declared, readers, slots, room, onChange })
    this.#transfer = { incoming, received, pacing, parts }
    incoming.onProgress((failure) => {
      if (failure !== undefined) return this.abort(asFailure(failure, 'the store'))
      received.compare()
      parts.changed()
      this.#changed()
      pacing.update()
    })
    publish('flight.started', { ...want, resumedAt: incoming.position })
    return this.#transfer
  }

  /** Brings the content, lets readers have it, and stores it if that is possible. */
  async #deliver(transfer: Transfer): Promise<void> {
    const { want, readers } = this
    const { incoming, received, pacing } = transfer
    await this.#bring(transfer)
    const description = await this.#describe(transfer)
    this.#declared.settle(incoming.position, description.mediaType)
    received.verify()
    readers.announceHead({ size: incoming.position, mediaType: description.mediaType })
    this.#changed()
    this.#isStored = await incoming.commit({ ...description, origin: received.origin })
    if (this.#isStored) this.#stored = await this.#options.store.open(want.digest)
    else await pacing.untilRead({ signal: this.#controller.signal })
  }

  async #bring(transfer: Transfer): Promise<void> {
    const { want, sources, policy, confirm } = this.#options
    // The earlier run may have been cut off between the last byte and the commit.
    if (transfer.received.isResumed && (await transfer.incoming.digest()) === want.digest) return confirm()
    const attempts = new AttemptSequence({
      ...transfer,
      bringing: transfer.parts,
      want,
      sources,
      policy,
      declared: this.#declared,
      readers: this.readers,
      onChange: () => this.#changed(),
      signal: this.#controller.signal,
    })
    await attempts.run()
  }

  /** Describes the content; a pass-through content whose start has left memory cannot be described. */
  async #describe({ incoming, pacing }: Transfer): Promise<Description> {
    const { mediaType } = this.#declared
    if (incoming.readableFrom > 0) return { mediaType, references: [], subject: undefined }
    return pacing.whileStartIsKept(() => this.#options.describe(incoming, mediaType))
  }

  #changed(): void {
    this.readers.wake()
    this.#options.onChange()
  }

  /**
   * Readers read the stored blob from here on, so that a slow one keeps none of the memory that other flights need. The
   * incoming stays open for its readers only when it is verified and there is no stored blob to read.
   */
  async #finish(): Promise<void> {
    const hasOwnReaders = this.#stored === undefined && this.#isVerified && this.readers.activeCount > 0
    if (!hasOwnReaders) await this.#transfer?.received.close().catch(() => {})
    this.#isOver = true
    this.#options.onEnd()
    await this.#closeIfUnread()
    await this.#transfer?.parts.close().catch(() => {})
  }

  #sizeTimeout(): Failure {
    const name = this.#transfer?.received.askedSource?.name ?? 'nobody'
    return new Failure(
      'stalled',
      `${name} has not answered within ${this.#options.policy.sizeTimeoutMs / 1000} s.`,
    )
  }
}
