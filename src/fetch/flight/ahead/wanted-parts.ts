import type { ByteRange } from '../../../oci/range.ts'
import type { DeclaredHead } from '../bytes/declared-head.ts'
import { TAIL_BYTES } from '../bytes/tail-gate.ts'
import type { Reader, Readers } from '../readers/readers.ts'
import type { KeptAhead } from './kept-ahead.ts'
import { WantedRanges } from './wanted-ranges.ts'

export interface PartPolicy {
  /** Whether parts come ahead of their turn, and whether those who read them get the last 64 KiB before all is verified. */
  readonly lazyRanges: 'off' | 'gated' | 'trusted'
  /** After this time without a wanted part the rest comes in order. */
  readonly partsQuietMs: number
  readonly progressTimeoutMs: number
}

export interface WantedPartsOptions {
  readonly policy: PartPolicy
  readonly declared: DeclaredHead
  readonly readers: Readers
  readonly ahead: KeptAhead
}

/** A larger range comes in order. */
const MOST_PART_BYTES = 64 * 1024 * 1024

/** The parts of a content that its readers want, and what they may have of them. */
export class WantedParts {
  readonly ranges = new WantedRanges()
  readonly #options: WantedPartsOptions
  #isTailWanted = false
  #wereWanted = false
  #lastMissingAt = performance.now()

  constructor(options: WantedPartsOptions) {
    this.#options = options
  }

  /** Whether parts are wanted, or were. */
  get areWanted(): boolean {
    return this.#wereWanted || this.areAll
  }

  /** Whether there are readers, and all of them read only parts. */
  get areAll(): boolean {
    return this.#options.readers.areForParts
  }

  /** Adds parts that the reader wants until it leaves. False: they are no parts, or too many. */
  add(reader: Reader, ranges: readonly ByteRange[], size: number): boolean {
    if (ranges.some((range) => !isPart(range, size))) return false
    if (!this.ranges.add(reader, ranges, size)) return false
    this.#wereWanted = true
    this.#isTailWanted ||= ranges.some(({ end }) => end > this.#releasableTo(size))
    return true
  }

  /** Whether bytes of the parts have not come. Then the rest waits for them. */
  areMissing(ranges: readonly ByteRange[], position: number): boolean {
    const areMissing = ranges.some((range) => this.#options.ahead.isMissing(range, position))
    if (areMissing) this.stillMissing()
    return areMissing
  }

  stillMissing(): void {
    this.#lastMissingAt = performance.now()
  }

  /** Whether the rest waits, because parts may follow those that have come. */
  get areExpected(): boolean {
    const { partsQuietMs } = this.#options.policy
    return !this.#isTailWanted && performance.now() - this.#lastMissingAt < partsQuietMs
  }

  /** The position up to which a reader of parts may read ahead from `offset` on. */
  releasedFrom(offset: number): number {
    const { declared, ahead } = this.#options
    const { size } = declared
    if (size === undefined) return offset
    return Math.max(offset, Math.min(this.#releasableTo(size), ahead.endFrom(offset)))
  }

  /** Where the bytes end that readers of parts may have before all is verified. */
  #releasableTo(size: number): number {
    return this.#options.policy.lazyRanges === 'trusted' ? size : size - TAIL_BYTES
  }
}

function isPart({ start, end }: ByteRange, size: number): boolean {
  return end - start <= MOST_PART_BYTES && end - start < size
}
