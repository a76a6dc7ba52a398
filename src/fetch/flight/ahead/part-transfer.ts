import { pause, unlessAborted } from '../../../lib/async/abort.ts'
import { Deferred } from '../../../lib/async/deferred.ts'
import type { ByteRange } from '../../../oci/range.ts'
import { AHEAD_UNIT_BYTES, type Incoming } from '../../../ports/blob-store.ts'
import { Failure } from '../../../ports/failure.ts'
import { forwardedVouchedIntake, type Source, type VouchedIntake, type Want } from '../../../ports/source.ts'
import type { Bringing, BringOptions } from '../attempts/attempt.ts'
import type { DeclaredHead } from '../bytes/declared-head.ts'
import type { Reader, Readers } from '../readers/readers.ts'
import type { AheadRoom } from './ahead-room.ts'
import { MOST_WINDOW_BYTES, PIECE_BYTES } from './ahead-window.ts'
import { InOrderRequests } from './in-order-requests.ts'
import { KeptAhead } from './kept-ahead.ts'
import { RangeRequests } from './range-requests.ts'
import type { RequestSlots } from './request-slots.ts'
import { SeveralConnections } from './several-connections.ts'
import { type PartPolicy, WantedParts } from './wanted-parts.ts'

export interface PartTransferOptions {
  readonly want: Want
  readonly policy: PartPolicy
  readonly incoming: Incoming
  readonly declared: DeclaredHead
  readonly readers: Readers
  /** Those of all flights. */
  readonly slots: RequestSlots
  readonly room: AheadRoom
  /** Called when readers of parts may have more bytes than before. */
  readonly onChange: () => void
}

/**
 * Brings the bytes of a flight in order, and ahead of that the ranges that readers of parts want, and those that come over other
 * connections, each byte once. What has come ahead is taken from the disk when its turn has come.
 */
export class PartTransfer implements Bringing {
  readonly #options: PartTransferOptions
  readonly #ahead: KeptAhead
  readonly #parts: WantedParts
  /** Who has brought the bytes ahead. */
  #source: string | undefined
  #requests: RangeRequests | undefined
  readonly #inOrder: InOrderRequests
  readonly #several: SeveralConnections
  #change: Deferred<void> | undefined
  #isClosed = false

  constructor(options: PartTransferOptions) {
    this.#options = options
    this.#ahead = new KeptAhead(options.incoming, options.room)
    this.#parts = new WantedParts({ ...options, ahead: this.#ahead })
    this.#inOrder = new InOrderRequests(options.want)
    this.#several = new SeveralConnections(this.#inOrder)
  }

  /** The reader will read only these ranges. Gives whether they can come ahead of their turn. */
  want(reader: Reader, ranges: readonly ByteRange[]): boolean {
    const { size } = this.#options.declared
    const { position } = this.#options.incoming
    if (size === undefined || this.#isClosed || !this.#arePartsPossible) return false
    if (!this.#parts.add(reader, ranges, size)) return false
    if (this.#parts.areMissing(ranges, position)) this.#inOrder.shrink()
    this.#inOrder.makeWayFor(ranges, position)
    this.changed()
    return true
  }

  leave(reader: Reader): void {
    this.#parts.ranges.leave(reader)
  }

  /** The position up to which a reader of parts may read ahead from `offset` on. */
  releasedFrom(offset: number): number {
    return this.#parts.releasedFrom(offset)
  }

  /** Reads bytes ahead. Gives 0 when they are not there, or no longer. */
  async read(target: Uint8Array, position: number): Promise<number> {
    const count = await this.#ahead.read(target, position)
    if (count !== 'broken') return count
    await this.#giveUpAhead()
    return 0
  }

  /** To be called when the store has written more, and when a reader has come or gone. */
  changed(): void {
    this.#ahead.discardBefore(this.#options.incoming.written)
    this.#startRequests()
    this.#change?.resolve()
    this.#change = undefined
  }

  async bring(source: Source, intake: VouchedIntake, options: BringOptions): Promise<void> {
    const { want, policy } = this.#options
    this.#several.begin(source)
    const isPossible = policy.lazyRanges !== 'off' || this.#several.arePossible
    if (source.bringRange === undefined || !isPossible || !this.#canBeAhead) {
      return source.bring(want, intake, options)
    }
    if (this.#source !== source.name) await this.forget()
    this.#source = source.name
    this.#parts.ranges.lookAgain()
    try {
      await this.#bring(source, intake, options)
    } finally {
      await this.#stopRequests()
    }
  }

  /** The bytes ahead may be wrong, or their source is not asked any more. */
  async forget(): Promise<void> {
    this.#parts.ranges.lookAgain()
    await this.#ahead.forget()
  }

  endConnections(): boolean {
    return this.#several.endForGood()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.forget()
  }

  async #stopRequests(): Promise<void> {
    const requests = this.#requests
    this.#requests = undefined
    await requests?.stop()
  }

  get #canBeAhead(): boolean {
    const { want, incoming } = this.#options
    return want.kind === 'blob' && incoming.isStorable && !this.#ahead.isBroken
  }

  get #arePartsPossible(): boolean {
    return this.#options.policy.lazyRanges !== 'off' && this.#canBeAhead
  }

  /** Whether parts are wanted, or were in this flight. */
  get #isByParts(): boolean {
    return this.#arePartsPossible && this.#parts.areWanted
  }

  /** Whether bytes come by ranges, those in order too, so that no byte is asked for twice. */
  get #isByRanges(): boolean {
    const isWanted = this.#isByParts || this.#several.areUsedFor(this.#options.declared.size)
    return isWanted && this.#canBeAhead && this.#requests?.haveFailed !== true
  }

  /** The intake of bytes in order, which says that they come. */
  #watched(intake: VouchedIntake): VouchedIntake {
    return forwardedVouchedIntake(intake, {
      expect: (head) => {
        intake.expect(head)
        this.changed()
      },
      filled: (length) => {
        const hasRoom = intake.filled(length)
        this.#came(length)
        return hasRoom
      },
    })
  }

  #came(bytes: number): void {
    const { declared, incoming } = this.#options
    if (this.#several.came(bytes, { size: declared.size, position: incoming.position })) this.changed()
  }

  async #bring(source: Source, intake: VouchedIntake, options: BringOptions): Promise<void> {
    const { want, declared } = this.#options
    for (;;) {
      options.signal.throwIfAborted()
      if (intake.position >= (declared.size ?? Number.POSITIVE_INFINITY)) return
      // A request that has ended, or was ended, need not have waited for room.
      await intake.drained()
      if (await this.#takeAhead(intake, options)) continue
      if (!this.#isByRanges) {
        if (await this.#bringRest(source, intake, options)) return
        continue
      }
      await this.#openAhead(source, options)
      if (!this.#isByRanges) continue
      this.#startRequests()
      if (this.#mustWait(intake.position)) await this.#untilChange(options)
      else if (!(await this.#bringSegment(source, intake, options))) {
        return source.bring(want, this.#watched(intake), options)
      }
    }
  }

  /** Brings all that is missing. False: parts, or other connections, were wanted meanwhile. */
  async #bringRest(source: Source, intake: VouchedIntake, options: BringOptions): Promise<boolean> {
    const watched = this.#watched(intake)
    if (this.#requests?.haveFailed !== true) {
      return this.#inOrder.bring(Number.POSITIVE_INFINITY, source, watched, options)
    }
    // What came ahead before ranges failed need not come again.
    const far = intake.position + MOST_WINDOW_BYTES
    const end = this.#endOfMissing(intake.position, far)
    const rest = end === far ? watched : forwardedVouchedIntake(watched, { end })
    await source.bring(this.#options.want, rest, options)
    return end === far
  }

  /** Brings the next segment. False: the source does not say the size that way, and must be asked for all. */
  async #bringSegment(source: Source, intake: VouchedIntake, options: BringOptions): Promise<boolean> {
    const { declared } = this.#options
    const { position } = intake
    const { size } = declared
    const firstBytes = this.#isByParts ? AHEAD_UNIT_BYTES : PIECE_BYTES
    const end = this.#endOfMissing(position, this.#inOrder.segmentEnd(position, size, firstBytes))
    try {
      await this.#inOrder.bring(end, source, this.#watched(intake), options)
    } catch (error) {
      // An empty content has no range (RFC 9110, 14.2).
      const isEmpty = error instanceof Failure && error.details.status === 416 && position === 0
      if (isEmpty && declared.size === undefined) return false
      const waitMs = this.#several.pauseAfter(error)
      if (waitMs === undefined) throw error
      await this.#pause(waitMs, options)
      return true
    } finally {
      this.#parts.ranges.lookAgain()
    }
    return declared.size !== undefined
  }

  /** Where the bytes before `end` begin that are there or on their way; `end` if there are none. */
  #endOfMissing(position: number, end: number): number {
    for (
      let at = position - (position % AHEAD_UNIT_BYTES) + AHEAD_UNIT_BYTES;
      at < end;
      at += AHEAD_UNIT_BYTES
    ) {
      if (this.#ahead.endFrom(at) > at) return at
      if (this.#requests !== undefined && this.#requests.endFrom(at) > at) return at
    }
    return end
  }

  async #takeAhead(intake: VouchedIntake, { onTaken }: BringOptions): Promise<boolean> {
    const { size } = this.#options.declared
    if (size === undefined) return false
    const outcome = await this.#ahead.moveTo(intake, size, { onBytes: onTaken })
    if (outcome === 'broken') await this.#giveUpAhead()
    return outcome === 'moved'
  }

  /** The disk does not give bytes ahead back: from now on all comes in order. */
  async #giveUpAhead(): Promise<void> {
    this.#ahead.giveUp()
    await this.#stopRequests()
    await this.forget()
  }

  async #openAhead(source: Source, { onAhead }: BringOptions): Promise<void> {
    const { want, declared, incoming, policy, slots, room, onChange } = this.#options
    const ahead = await this.#ahead.open()
    if (ahead === undefined) return
    const changed = (): void => {
      this.changed()
      onChange()
    }
    this.#requests ??= new RangeRequests({
      ...{ want, source, ahead, slots, room },
      wanted: this.#parts.ranges,
      window: () => {
        // While only parts are read, the rest comes after them.
        if (this.#parts.areAll) return undefined
        return this.#several.window({ size: declared.size, position: incoming.position })
      },
      inOrderTo: (position) => this.#inOrderTo(position),
      progressTimeoutMs: policy.progressTimeoutMs,
      onBytes: (count) => {
        onAhead(count)
        this.#came(count)
        changed()
      },
      onChange: changed,
      onTooMany: () => this.#several.end(),
    })
  }

  #inOrderTo(position: number): number {
    const here = this.#options.incoming.position
    return Math.max(position, position < here ? here : this.#inOrder.end)
  }

  /** False: what is wanted must come in order. */
  #startRequests(): boolean {
    const { size } = this.#options.declared
    return size !== undefined && this.#requests?.start(size) === true
  }

  /** Whether the bytes at `position` are on their way, or parts come first. */
  #mustWait(position: number): boolean {
    const { declared, readers } = this.#options
    if (declared.size === undefined) return false
    const requests = this.#requests
    if (requests === undefined || requests.haveFailed) return false
    if (requests.arePartsUnderWay) this.#parts.stillMissing()
    if (requests.endFrom(position) > position) return true
    if (!this.#isByParts || (!this.#parts.areAll && readers.activeCount > 0)) return false
    if (!this.#startRequests()) return false
    return requests.arePartsUnderWay || this.#parts.areExpected
  }

  async #pause(ms: number, { signal, onIdle }: BringOptions): Promise<void> {
    onIdle(true)
    try {
      await pause(ms, { signal })
    } finally {
      onIdle(false)
    }
  }

  async #untilChange({ signal, onIdle }: BringOptions): Promise<void> {
    const change = new Deferred<void>()
    this.#change = change
    const timer = setTimeout(() => change.resolve(), this.#options.policy.partsQuietMs)
    onIdle(true)
    try {
      await unlessAborted(change.promise, signal)
    } finally {
      clearTimeout(timer)
      onIdle(false)
    }
  }
}
