import type { ByteRange } from '../../../oci/range.ts'
import { AHEAD_UNIT_BYTES, type BytesAhead } from '../../../ports/blob-store.ts'
import type { Failure } from '../../../ports/failure.ts'
import type { Source, Want } from '../../../ports/source.ts'
import { asFailure } from '../attempts/pick-failure.ts'
import { StallTimer } from '../attempts/stall-timer.ts'
import { AheadIntake } from './ahead-intake.ts'
import type { AheadRoom } from './ahead-room.ts'
import { type AheadWindow, PIECE_BYTES, pieceEnd } from './ahead-window.ts'
import type { RequestSlots } from './request-slots.ts'
import { firstMissing, type WantedRanges } from './wanted-ranges.ts'

/** A part comes by so many requests, over as many connections, unless they would be smaller or larger than these. */
const REQUESTS_PER_PART = 8
const LEAST_REQUEST_BYTES = 512 * 1024
const MOST_REQUEST_BYTES = 4 * 1024 * 1024
/** What a request may use of the room for bytes ahead, in which its ends may take more than they need. */
const MOST_ROOM_BYTES = PIECE_BYTES + 2 * 1024 * 1024
const MOST_REQUESTS_FOR_PARTS = 16
/** A source that sends less within the timeout would hold a slot that others need. */
const MIN_BYTES = 65_536
/** So many requests in a row may fail before the source is no longer asked for ranges. */
const MOST_FAILURES = 3

export interface RangeRequestsOptions {
  readonly want: Want
  readonly source: Source
  readonly ahead: BytesAhead
  readonly wanted: WantedRanges
  /** What the flight itself wants ahead of its position now. */
  readonly window: () => AheadWindow | undefined
  /** Where the bytes end that the transfer in order brings, from `position` on. */
  readonly inOrderTo: (position: number) => number
  readonly slots: RequestSlots
  readonly room: AheadRoom
  readonly progressTimeoutMs: number
  /** Called when bytes have come, with their number, or were written, with 0; and when a request has ended. */
  readonly onBytes: (count: number) => void
  readonly onChange: () => void
  /** Called when the source says that there are too many requests for ranges of the window. */
  readonly onTooMany: (failure: Failure) => void
}

type Purpose = 'part' | 'window'

/** The requests of one attempt for ranges: those that readers want, and those of the window. Each byte is asked for once. */
export class RangeRequests {
  readonly #options: RangeRequestsOptions
  readonly #underWay = new Map<ByteRange, Purpose>()
  readonly #runs = new Set<Promise<void>>()
  readonly #stopping = new AbortController()
  #failures = 0

  constructor(options: RangeRequestsOptions) {
    this.#options = options
  }

  /** The source does not bring ranges, or not reliably. */
  get haveFailed(): boolean {
    return this.#failures >= MOST_FAILURES
  }

  /** Whether ranges that readers want are on their way. */
  get arePartsUnderWay(): boolean {
    return this.#count('part') > 0
  }

  /** Where the range ends that is on its way and contains `position`; `position` if there is none. */
  endFrom(position: number): number {
    for (const { start, end } of this.#underWay.keys()) if (start <= position && position < end) return end
    return position
  }

  /** Asks for what is wanted. False: there is no room for what readers want. */
  start(size: number): boolean {
    const hasRoom = this.#startParts(size)
    this.#startWindow(size)
    return hasRoom
  }

  /** Ends all requests. Resolves when no bytes are written any more. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the ranges are not needed any more'))
    await Promise.all(this.#runs)
    this.#options.slots.forget(this.#options.onChange)
  }

  #startParts(size: number): boolean {
    const { source, wanted, slots, onChange } = this.#options
    while (this.#count('part') < MOST_REQUESTS_FOR_PARTS && !this.#isOver) {
      const range = wanted.next((position) => this.#coveredTo(position), requestBytes)
      if (range === undefined) return true
      if (!this.#hasRoom) return false
      if (!slots.take(source.name, onChange)) return true
      this.#begin(range, size, 'part')
    }
    return !this.haveFailed
  }

  #startWindow(size: number): void {
    const { source, window, slots, onChange } = this.#options
    for (let wanted = window(); wanted !== undefined && !this.#isOver; wanted = window()) {
      if (this.#count('window') >= wanted.mostRequests || !this.#hasRoom) return
      const range = firstMissing(wanted, (position) => this.#coveredTo(position), pieceEnd)
      if (range === undefined || !slots.take(source.name, onChange, { leavesSome: true })) return
      this.#begin(range, size, 'window')
    }
  }

  get #isOver(): boolean {
    return this.haveFailed || this.#stopping.signal.aborted
  }

  get #hasRoom(): boolean {
    const { ahead, room, slots } = this.#options
    return (
      ahead.freeBytes >= (this.#underWay.size + 1) * MOST_ROOM_BYTES &&
      room.freeBytes >= (slots.usedCount + 1) * MOST_ROOM_BYTES
    )
  }

  #coveredTo(position: number): number {
    const { ahead, inOrderTo } = this.#options
    return Math.max(inOrderTo(position), ahead.endFrom(position), this.endFrom(position))
  }

  #count(wanted: Purpose): number {
    let count = 0
    for (const purpose of this.#underWay.values()) if (purpose === wanted) count += 1
    return count
  }

  #begin(range: ByteRange, size: number, purpose: Purpose): void {
    const { source, wanted, slots, onChange } = this.#options
    this.#underWay.set(range, purpose)
    const run = this.#request(range, size).then((failure) => {
      this.#underWay.delete(range)
      this.#runs.delete(run)
      if (failure === undefined) this.#failures = this.haveFailed ? this.#failures : 0
      else this.#countFailure(failure, purpose)
      if (failure !== undefined) wanted.lookAgain()
      slots.giveBack(source.name)
      onChange()
    })
    this.#runs.add(run)
  }

  /** Gives why not all of the range has come. Never rejects. */
  async #request(range: ByteRange, size: number): Promise<Failure | undefined> {
    const { want, source, ahead, progressTimeoutMs, onBytes } = this.#options
    const stall = new StallTimer({
      sourceName: source.name,
      timeoutMs: progressTimeoutMs,
      minBytes: MIN_BYTES,
      isDiskBehind: () => intake.isWriting,
    })
    const intake = new AheadIntake(ahead, range, {
      onAnswer: () => stall.start(),
      onBytes: (count) => {
        if (count > 0) stall.countBytes(count)
        onBytes(count)
      },
    })
    const signal = AbortSignal.any([this.#stopping.signal, stall.signal])
    try {
      await source.bringRange?.(want, { end: range.end, size }, intake, { signal })
      await intake.settled()
      return undefined
    } catch (error) {
      return asFailure(error, source.name)
    } finally {
      stall.end()
      intake.writeWholeUnits()
      await intake.settled().catch(() => {})
    }
  }

  #countFailure(failure: Failure, purpose: Purpose): void {
    if (this.#isOver) return
    const { code, details } = failure
    const isTooMany = code === 'busy' || details.status === 503
    if (isTooMany && purpose === 'window') {
      this.#options.onTooMany(failure)
      return
    }
    const isFinal = code !== 'unavailable' && code !== 'stalled'
    this.#failures += isFinal ? MOST_FAILURES : 1
    if (this.haveFailed) this.#stopping.abort(new Error('the source does not bring ranges'))
  }
}

/** How much one request for a part of this size asks for. */
function requestBytes(partBytes: number): number {
  const units = Math.ceil(partBytes / REQUESTS_PER_PART / AHEAD_UNIT_BYTES)
  return Math.min(MOST_REQUEST_BYTES, Math.max(LEAST_REQUEST_BYTES, units * AHEAD_UNIT_BYTES))
}
