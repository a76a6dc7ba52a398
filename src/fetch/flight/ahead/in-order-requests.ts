import type { ByteRange } from '../../../oci/range.ts'
import { AHEAD_UNIT_BYTES } from '../../../ports/blob-store.ts'
import { forwardedVouchedIntake, type Source, type VouchedIntake, type Want } from '../../../ports/source.ts'

/** How much is asked for in order after a part was wanted. Each next segment is twice as large, until another part is wanted. */
const SEGMENT_BYTES = 8 * 1024 * 1024

/** The requests of one flight for bytes in order, one after another: for all of the rest, or for a segment. */
export class InOrderRequests {
  readonly #want: Want
  #underWay: { readonly controller: AbortController; readonly end: number } | undefined
  #segmentBytes = SEGMENT_BYTES

  constructor(want: Want) {
    this.#want = want
  }

  /** Where the request ends that is under way; 0 if there is none. */
  get end(): number {
    return this.#underWay?.end ?? 0
  }

  /** The end of the next segment: that of a unit, or of the content. A segment before the size is known has `firstBytes`. */
  segmentEnd(position: number, size: number | undefined, firstBytes: number): number {
    const start = position - (position % AHEAD_UNIT_BYTES)
    return size === undefined ? start + firstBytes : Math.min(size, start + this.#segmentBytes)
  }

  /** A part is missing, so that the next segment is a small one. */
  shrink(): void {
    this.#segmentBytes = SEGMENT_BYTES
  }

  /** Ends the request under way if it would bring some of the ranges, but not soon. */
  makeWayFor(ranges: readonly ByteRange[], position: number): void {
    const soon = position + SEGMENT_BYTES
    if (ranges.some(({ start, end }) => Math.max(start, soon) < Math.min(end, this.end))) {
      this.#underWay?.controller.abort()
    }
  }

  /** Ends the request under way if it is for all of the rest. */
  endOpenRequest(): void {
    if (this.end === Number.POSITIVE_INFINITY) this.#underWay?.controller.abort()
  }

  /** Asks for the bytes before `end`. False: the request has made way for a part. */
  async bring(
    end: number,
    source: Source,
    intake: VouchedIntake,
    { signal }: { signal: AbortSignal },
  ): Promise<boolean> {
    const controller = new AbortController()
    this.#underWay = { controller, end }
    const segment = Number.isFinite(end) ? forwardedVouchedIntake(intake, { end }) : intake
    try {
      await source.bring(this.#want, segment, { signal: AbortSignal.any([signal, controller.signal]) })
      this.#segmentBytes *= 2
      return true
    } catch (error) {
      if (!controller.signal.aborted || signal.aborted) throw error
      return false
    } finally {
      this.#underWay = undefined
    }
  }
}
