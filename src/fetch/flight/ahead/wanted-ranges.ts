import type { ByteRange } from '../../../oci/range.ts'
import { AHEAD_UNIT_BYTES } from '../../../ports/blob-store.ts'

/** Gives where the bytes end that need not be asked for from `position` on; `position` if its byte must be. */
export type CoveredTo = (position: number) => number

/** The readers of one content may want so many ranges at a time. */
const MOST_RANGES = 1024

interface WantedRange extends ByteRange {
  readonly reader: object
  /** Nothing was missing before this position when the range was last looked at. */
  missingFrom: number
}

/** The ranges of a content that readers want, in the order in which they were requested, in whole units. */
export class WantedRanges {
  #ranges: WantedRange[] = []
  /** Nothing was missing of the ranges before this one when they were last looked at. */
  #first = 0

  /** Adds ranges that the reader wants until it leaves. False: there are too many, and none of them was added. */
  add(reader: object, ranges: readonly ByteRange[], size: number): boolean {
    const all = [...this.#ranges]
    for (const range of ranges) {
      const start = unitStart(range.start)
      const end = Math.min(size, Math.ceil(range.end / AHEAD_UNIT_BYTES) * AHEAD_UNIT_BYTES)
      const isWanted = all.some(
        (other) => other.reader === reader && other.start <= start && end <= other.end,
      )
      if (isWanted) continue
      if (all.length >= MOST_RANGES) return false
      all.push({ reader, start, end, missingFrom: start })
    }
    this.#ranges = all
    return true
  }

  /**
   * Gives the first range that must be asked for, of as many bytes as `mostBytes` says for the size of what is wanted. Ranges before
   * it are not looked at any more.
   */
  next(coveredTo: CoveredTo, mostBytes: (wantedBytes: number) => number): ByteRange | undefined {
    for (; this.#first < this.#ranges.length; this.#first += 1) {
      const range = this.#ranges[this.#first]
      if (range === undefined) continue
      const most = mostBytes(range.end - range.start)
      const rest = { start: range.missingFrom, end: range.end }
      const missing = firstMissing(rest, coveredTo, (start) => start + most)
      if (missing === undefined) continue
      range.missingFrom = missing.start
      return missing
    }
    return undefined
  }

  /** Looks at all ranges again, because bytes that were there or on their way are missing now. */
  lookAgain(): void {
    this.#first = 0
    for (const range of this.#ranges) range.missingFrom = range.start
  }

  /** The reader wants nothing any more. */
  leave(reader: object): void {
    this.#ranges = this.#ranges.filter((range) => range.reader !== reader)
    this.#first = 0
  }
}

/** Gives the first part of the range that must be asked for, as far as `mostTo` says from its start on. */
export function firstMissing(
  range: ByteRange,
  coveredTo: CoveredTo,
  mostTo: (start: number) => number,
): ByteRange | undefined {
  const missing = pastCovered(range, coveredTo)
  if (missing >= range.end) return undefined
  // Bytes in order may end in the middle of a unit, which then comes whole.
  const start = unitStart(missing)
  return { start, end: endOfMissing(start, Math.min(range.end, mostTo(start)), coveredTo) }
}

function unitStart(position: number): number {
  return position - (position % AHEAD_UNIT_BYTES)
}

function pastCovered({ start, end }: ByteRange, coveredTo: CoveredTo): number {
  let at = start
  for (let to = coveredTo(at); to > at && at < end; to = coveredTo(at)) at = to
  return at
}

function endOfMissing(start: number, end: number, coveredTo: CoveredTo): number {
  for (let at = start + AHEAD_UNIT_BYTES; at < end; at += AHEAD_UNIT_BYTES) if (coveredTo(at) > at) return at
  return end
}
