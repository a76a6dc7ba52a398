import { unlessAborted } from '../../../lib/async/abort.ts'
import { Deferred } from '../../../lib/async/deferred.ts'
import type { ByteRange } from '../../../oci/range.ts'
import { AHEAD_UNIT_BYTES, type BytesAhead, type Incoming } from '../../../ports/blob-store.ts'
import { Failure } from '../../../ports/failure.ts'
import type { Source, VouchedIntake, Want } from '../../../ports/source.ts'
import type { Bringing, BringOptions } from '../attempts/attempt.ts'
import type { DeclaredHead } from '../bytes/declared-head.ts'
import { TAIL_BYTES } from '../bytes/tail-gate.ts'
import type { Reader, Readers } from '../readers/readers.ts'
import type { AheadRoom } from './ahead-room.ts'
import { InOrderRequests } from './in-order-requests.ts'
import { RangeRequests } from './range-requests.ts'
import type { RequestSlots } from './request-slots.ts'
import { WantedRanges } from './wanted-ranges.ts'

export interface PartPolicy {
  /** Whether parts come ahead of their turn, and whether those who read them get the last 64 KiB before all is verified. */
  readonly lazyRanges: 'off' | 'gated' | 'trusted'
  /** After this time without a wanted part the rest comes in order. */
  readonly partsQuietMs: number
  readonly progressTimeoutMs: number
}

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

/** A larger range comes in order. */
const MOST_PART_BYTES = 64 * 1024 * 1024

/**
 * Brings the bytes of a flight in order, and ahead of that the ranges that readers of parts want, each byte once. What has come
 * ahead is taken from the disk when its turn has come.
 */
export class PartTransfer implements Bringing {
  readonly #options: PartTransferOptions
  readonly #wanted = new WantedRanges()
  #ahead: BytesAhead | undefined
  /** Who has brought the bytes ahead. */
  #source: string | undefined
  #requests: RangeRequests | undefined
  readonly #inOrder: InOrderRequests
  #isTailWanted = false
  #areForParts = false
  #lastWantedAt = performance.now()
  #change: Deferred<void> | undefined
  /** The disk does not take bytes ahead. */
  #isBroken = false
  #isClosed = false

  constructor(options: PartTransferOptions) {
    this.#options = options
    this.#inOrder = new InOrderRequests(options.want)
  }

  /** The reader will read only these ranges. Gives whether they can come ahead of their turn. */
  want(reader: Reader, ranges: readonly ByteRange[]): boolean {
    const { size } = this.#options.declared
    if (size === undefined || this.#isClosed || !this.#isPossible) return false
    if (ranges.some((range) => !isPart(range, size))) return false
    if (!this.#wanted.add(reader, ranges, size)) return false
    this.#areForParts = true
    if (ranges.some((range) => this.#isMissing(range))) {
      this.#lastWantedAt = performance.now()
      this.#inOrder.shrink()
    }
    this.#isTailWanted ||= ranges.some(({ end }) => end > this.#releasableTo(size))
    this.#inOrder.makeWayFor(ranges, this.#options.incoming.position)
    this.changed()
    return true
  }

  leave(reader: Reader): void {
    this.#wanted.leave(reader)
  }

  /** The position up to which a reader of parts may read ahead from `offset` on. */
  releasedFrom(offset: number): number {
    const { size } = this.#options.declared
    if (size === undefined || this.#ahead === undefined) return offset
    return Math.max(offset, Math.min(this.#releasableTo(size), this.#ahead.endFrom(offset)))
  }

  /** Reads bytes ahead. Gives 0 when they are not there, or no longer. */
  async read(target: Uint8Array, position: number): Promise<number> {
    const ahead = this.#ahead
    const count = (await ahead?.read(target, position)) ?? 0
    if (count === 0 && ahead !== undefined && ahead === this.#ahead && ahead.endFrom(position) > position) {
      await this.#giveUpAhead()
    }
    return count
  }

  /** To be called when the store has written more, and when a reader has come or gone. */
  changed(): void {
    this.#ahead?.discardBefore(this.#options.incoming.written)
    this.#startRequests()
    this.#change?.resolve()
    this.#change = undefined
  }

  async bring(source: Source, intake: VouchedIntake, options: BringOptions): Promise<void> {
    const { want } = this.#options
    if (source.bringRange === undefined || !this.#isPossible) return source.bring(want, intake, options)
    if (this.#source !== source.name) await this.forget()
    this.#source = source.name
    this.#wanted.lookAgain()
    try {
      await this.#bring(source, intake, options)
    } finally {
      await this.#stopRequests()
    }
  }

  /** The bytes ahead may be wrong, or their source is not asked any more. */
  async forget(): Promise<void> {
    const ahead = this.#ahead
    this.#ahead = undefined
    this.#wanted.lookAgain()
    if (ahead !== undefined) this.#options.room.remove(ahead)
    await ahead?.close()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.forget()
  }

  /** Where the bytes end that readers of parts may have before all is verified. */
  #releasableTo(size: number): number {
    return this.#options.policy.lazyRanges === 'trusted' ? size : size - TAIL_BYTES
  }

  async #stopRequests(): Promise<void> {
    const requests = this.#requests
    this.#requests = undefined
    await requests?.stop()
  }

  get #isPossible(): boolean {
    const { want, policy, incoming } = this.#options
    return policy.lazyRanges !== 'off' && want.kind === 'blob' && incoming.isStorable && !this.#isBroken
  }

  /** Whether parts are wanted, or were in this flight, and the source brings them. */
  get #isByParts(): boolean {
    const isWanted = this.#areForParts || this.#options.readers.areForParts
    return isWanted && this.#isPossible && this.#requests?.haveFailed !== true
  }

  async #bring(source: Source, intake: VouchedIntake, options: BringOptions): Promise<void> {
    const { want, declared } = this.#options
    for (;;) {
      options.signal.throwIfAborted()
      if (intake.position >= (declared.size ?? Number.POSITIVE_INFINITY)) return
      // A request that has ended, or was ended, need not have waited for room.
      await intake.drained()
      if (await this.#takeAhead(intake)) continue
      if (!this.#isByParts) {
        if (await this.#bringRest(source, intake, options)) return
        continue
      }
      await this.#openAhead(source)
      if (!this.#isByParts) continue
      this.#startRequests()
      if (this.#mustWait(intake.position)) await this.#untilChange(options)
      else if (!(await this.#bringSegment(source, intake, options))) {
        return source.bring(want, intake, options)
      }
    }
  }

  /** Brings all that is missing. False: parts were wanted meanwhile. */
  async #bringRest(source: Source, intake: VouchedIntake, options: BringOptions): Promise<boolean> {
    if (this.#requests?.haveFailed !== true) {
      return this.#inOrder.bring(Number.POSITIVE_INFINITY, source, intake, options)
    }
    await source.bring(this.#options.want, intake, options)
    return true
  }

  /** Brings the next segment. False: the source does not say the size that way, and must be asked for all. */
  async #bringSegment(source: Source, intake: VouchedIntake, options: BringOptions): Promise<boolean> {
    const { declared } = this.#options
    const { position } = intake
    const { size } = declared
    const end = this.#endOfMissing(position, this.#inOrder.segmentEnd(position, size))
    try {
      await this.#inOrder.bring(end, source, intake, options)
    } catch (error) {
      // An empty content has no range (RFC 9110, 14.2).
      const isEmpty = error instanceof Failure && error.details.status === 416 && position === 0
      if (isEmpty && declared.size === undefined) return false
      throw error
    } finally {
      this.#wanted.lookAgain()
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
      if (this.#ahead !== undefined && this.#ahead.endFrom(at) > at) return at
      if (this.#requests !== undefined && this.#requests.endFrom(at) > at) return at
    }
    return end
  }

  async #takeAhead(intake: VouchedIntake): Promise<boolean> {
    const { size } = this.#options.declared
    const ahead = this.#ahead
    if (size === undefined || ahead === undefined) return false
    const end = Math.min(size, ahead.endFrom(intake.position))
    if (end <= intake.position) return false
    intake.expect({ size, mediaType: undefined })
    while (intake.position < end) {
      const room = intake.buffer().subarray(0, end - intake.position)
      const count = await ahead.read(room, intake.position)
      if (count === 0) {
        await this.#giveUpAhead()
        return false
      }
      if (!intake.filled(count) && intake.position < size) await intake.drained()
    }
    return true
  }

  /** The disk does not give bytes ahead back: from now on all comes in order. */
  async #giveUpAhead(): Promise<void> {
    this.#isBroken = true
    await this.#stopRequests()
    await this.forget()
  }

  /** Whether bytes of the range have not come yet. */
  #isMissing({ start, end }: ByteRange): boolean {
    for (let at = Math.max(start, this.#options.incoming.position); at < end; ) {
      const to = this.#ahead?.endFrom(at) ?? at
      if (to <= at) return true
      at = to
    }
    return false
  }

  async #openAhead(source: Source): Promise<void> {
    const { want, incoming, policy, slots, room, onChange } = this.#options
    try {
      this.#ahead ??= await incoming.openAhead()
    } catch {
      this.#isBroken = true
      return
    }
    const ahead = this.#ahead
    room.add(ahead)
    this.#requests ??= new RangeRequests({
      want,
      source,
      ahead,
      wanted: this.#wanted,
      inOrderTo: (position) => this.#inOrderTo(position),
      slots,
      room,
      progressTimeoutMs: policy.progressTimeoutMs,
      onChange: () => {
        this.changed()
        onChange()
      },
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

  /** Whether parts come first. */
  #mustWait(position: number): boolean {
    const { declared, readers, policy } = this.#options
    if (declared.size === undefined) return false
    const requests = this.#requests
    if (requests === undefined || requests.haveFailed) return false
    if (requests.areUnderWay) this.#lastWantedAt = performance.now()
    if (requests.endFrom(position) > position) return true
    if (!readers.areForParts && readers.activeCount > 0) return false
    if (!this.#startRequests()) return false
    if (requests.areUnderWay) return true
    return !this.#isTailWanted && performance.now() - this.#lastWantedAt < policy.partsQuietMs
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

function isPart({ start, end }: ByteRange, size: number): boolean {
  return end - start <= MOST_PART_BYTES && end - start < size
}
