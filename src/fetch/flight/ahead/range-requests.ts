import type { ByteRange } from '../../../oci/range.ts'
import type { BytesAhead } from '../../../ports/blob-store.ts'
import type { Source, Want } from '../../../ports/source.ts'
import { asFailure } from '../attempts/pick-failure.ts'
import { StallTimer } from '../attempts/stall-timer.ts'
import { AheadIntake } from './ahead-intake.ts'
import type { AheadRoom } from './ahead-room.ts'
import type { RequestSlots } from './request-slots.ts'
import type { WantedRanges } from './wanted-ranges.ts'

/** One request brings at most so much, so that a large range uses several connections. */
const MOST_BYTES = 4 * 1024 * 1024
/** What a request may use of the room for bytes ahead, in which its ends may take more than they need. */
const MOST_ROOM_BYTES = MOST_BYTES + 2 * 1024 * 1024
const MOST_AT_A_TIME = 8
/** A source that sends less within the timeout would hold a slot that others need. */
const MIN_BYTES = 65_536
/** So many requests in a row may fail before the source is no longer asked for ranges. */
const MOST_FAILURES = 3

export interface RangeRequestsOptions {
  readonly want: Want
  readonly source: Source
  readonly ahead: BytesAhead
  readonly wanted: WantedRanges
  /** Where the bytes end that the transfer in order brings, from `position` on. */
  readonly inOrderTo: (position: number) => number
  readonly slots: RequestSlots
  readonly room: AheadRoom
  readonly progressTimeoutMs: number
  /** Called when bytes have come, and when a request has ended. */
  readonly onChange: () => void
}

/** The requests of one attempt for ranges that readers want: each byte is asked for once. */
export class RangeRequests {
  readonly #options: RangeRequestsOptions
  readonly #underWay = new Set<ByteRange>()
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

  get areUnderWay(): boolean {
    return this.#underWay.size > 0
  }

  /** Where the range ends that is on its way and contains `position`; `position` if there is none. */
  endFrom(position: number): number {
    for (const { start, end } of this.#underWay) if (start <= position && position < end) return end
    return position
  }

  /** Asks for what is wanted. False: there is no room for it. */
  start(size: number): boolean {
    const { source, wanted, ahead, inOrderTo, slots, room, onChange } = this.#options
    const coveredTo = (position: number): number =>
      Math.max(inOrderTo(position), ahead.endFrom(position), this.endFrom(position))
    while (this.#underWay.size < MOST_AT_A_TIME && !this.haveFailed && !this.#stopping.signal.aborted) {
      const range = wanted.next(coveredTo, MOST_BYTES)
      if (range === undefined) return true
      const expectedBytes = (this.#underWay.size + 1) * MOST_ROOM_BYTES
      if (ahead.freeBytes < expectedBytes) return false
      if (room.freeBytes < (slots.usedCount + 1) * MOST_ROOM_BYTES) return false
      if (!slots.take(source.name, onChange)) return true
      this.#underWay.add(range)
      const run = this.#request(range, size).then((hasCome) => {
        this.#underWay.delete(range)
        this.#runs.delete(run)
        if (!hasCome) wanted.lookAgain()
        slots.giveBack(source.name)
        onChange()
      })
      this.#runs.add(run)
    }
    return !this.haveFailed
  }

  /** Ends all requests. Resolves when no bytes are written any more. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the ranges are not needed any more'))
    await Promise.all(this.#runs)
    this.#options.slots.forget(this.#options.onChange)
  }

  /** Gives whether all of the range has come. Never rejects. */
  async #request(range: ByteRange, size: number): Promise<boolean> {
    const { want, source, ahead, progressTimeoutMs, onChange } = this.#options
    const stall = new StallTimer({
      sourceName: source.name,
      timeoutMs: progressTimeoutMs,
      minBytes: MIN_BYTES,
      isDiskBehind: () => intake.isWriting,
    })
    const intake = new AheadIntake(ahead, range, {
      onBytes: (count) => {
        stall.countBytes(count)
        onChange()
      },
    })
    const signal = AbortSignal.any([this.#stopping.signal, stall.signal])
    stall.start()
    try {
      await source.bringRange?.(want, { end: range.end, size }, intake, { signal })
      await intake.settled()
      if (!this.haveFailed) this.#failures = 0
      return true
    } catch (error) {
      const { code } = asFailure(error, source.name)
      const isFinal = code !== 'unavailable' && code !== 'stalled'
      this.#failures += isFinal ? MOST_FAILURES : 1
      if (this.haveFailed) this.#stopping.abort(new Error('the source does not bring ranges'))
      return false
    } finally {
      stall.end()
      await intake.settled().catch(() => {})
    }
  }
}
