import type { ByteRange } from '../../../oci/range.ts'
import { AHEAD_UNIT_BYTES } from '../../../ports/blob-store.ts'

/** Gives where the bytes end that need not be asked for from `position` on; `position` if its byte must be. */
export type CoveredTo = (position: number) => number

/** The ranges of a content that readers want, in the order in which they were requested, in whole units. */
export class WantedRanges {
  readonly #ranges: ByteRange[] = []

  add({ start, end }: ByteRange, size: number): void {
    const first = start - (start % AHEAD_UNIT_BYTES)
    this.#ranges.push({
      start: first,
      end: Math.min(size, Math.ceil(end / AHEAD_UNIT_BYTES) * AHEAD_UNIT_BYTES),
    })
  }

  /** Gives the first range of at most `mostBytes` that must be asked for, and forgets those before it. */
  next(coveredTo: CoveredTo, mostBytes: number): ByteRange | undefined {
    for (let [range] = this.#ranges; range !== undefined; [range] = this.#ranges) {
      const missing = pastCovered(range, coveredTo)
      if (missing < range.end) {
        // Bytes in order may end in the middle of a unit, which then comes whole.
        const start = missing - (missing % AHEAD_UNIT_BYTES)
        this.#ranges[0] = { start, end: range.end }
        return { start, end: endOfMissing(start, Math.min(range.end, start + mostBytes), coveredTo) }
      }
      this.#ranges.shift()
    }
    return undefined
  }

  /** Takes a range back that `next` gave, because it did not come. */
  putBack(range: ByteRange): void {
    this.#ranges.unshift(range)
  }
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
