import { bytesOfLimit, type DiskLimit } from '../../lib/disk-limit.ts'
import type { Digest } from '../../oci/digest.ts'
import type { BudgetedStore, DiskMeasurement, PartialSizes, Reservation } from './budget-types.ts'

/** A hundredth of the filesystem, at most 256 MiB, stays free for the index and for other programs. */
const MARGIN_BYTES = 256 * 1024 * 1024
/** A measurement is used for a second, as long as everything fits. */
const FRESH_MS = 1000

/** Counts what uses the disk: stored blobs, partials, quarantine and reservations. It decides nothing. */
export class BudgetLedger {
  readonly #store: BudgetedStore
  #limit: DiskLimit | undefined
  readonly #minFree: DiskLimit | undefined
  readonly #reservations = new Map<Digest, BudgetReservation>()
  #reservedBytes = 0
  #measured: DiskMeasurement = { totalBytes: 0, freeBytes: 0, quarantineBytes: 0, partials: new Map() }
  #measuredAt = Number.NEGATIVE_INFINITY
  /** Bytes that were released since the last measurement, and may have been written after it. */
  #releasedBytes = 0

  constructor(store: BudgetedStore, limit: DiskLimit | undefined, minFree: DiskLimit | undefined) {
    this.#store = store
    this.#limit = limit
    this.#minFree = minFree
  }

  limitTo(limit: DiskLimit | undefined): void {
    this.#limit = limit
  }

  /**
   * How much the store may have now: the high mark, or less where the filesystem has to stay free. Undefined without a limit,
   * and while the size of the filesystem is not known.
   */
  get limitBytes(): number | undefined {
    const { highMark } = this
    const isMeasured = this.#measured.totalBytes > 0
    const room = this.#minFree === undefined || !isMeasured ? highMark : this.usedBytes + this.freeBytes
    const limit = Math.max(0, Math.min(highMark, room))
    return Number.isFinite(limit) ? limit : undefined
  }

  /** Infinite without a limit, and while the size of the filesystem is not known. */
  get highMark(): number {
    const limit = this.#limit
    const { totalBytes } = this.#measured
    const isKnown = limit !== undefined && ('bytes' in limit || totalBytes > 0)
    return isKnown ? bytesOfLimit(limit, totalBytes) : Number.POSITIVE_INFINITY
  }

  get isFresh(): boolean {
    return performance.now() - this.#measuredAt < FRESH_MS
  }

  get usedBytes(): number {
    let used = this.#store.storedBytes() + this.#measured.quarantineBytes + this.#reservedBytes
    for (const { bytes } of this.leftovers().values()) used += bytes
    return used
  }

  /**
   * How many bytes can still be written to the filesystem besides those that are reserved; less than 0 if more should be free.
   */
  get freeBytes(): number {
    const { freeBytes, partials } = this.#measured
    let promised = this.#reservedBytes + this.#releasedBytes
    for (const digest of this.#reservations.keys()) promised -= partials.get(digest)?.bytes ?? 0
    return freeBytes - this.#leftFreeBytes - promised
  }

  get #leftFreeBytes(): number {
    const { totalBytes } = this.#measured
    const margin = Math.min(totalBytes / 100, MARGIN_BYTES)
    return this.#minFree === undefined ? margin : Math.max(margin, bytesOfLimit(this.#minFree, totalBytes))
  }

  /** Partials for which no room is reserved. */
  leftovers(): PartialSizes {
    return new Map([...this.#measured.partials].filter(([digest]) => !this.#reservations.has(digest)))
  }

  /** Gives how many bytes a content needs besides those that count already: its reservation, or else its partial. */
  lackingBytes(digest: Digest, bytes: number): number {
    const counted = this.#reservations.get(digest)?.bytes ?? this.#measured.partials.get(digest)?.bytes ?? 0
    return Math.max(0, bytes - counted)
  }

  fits(digest: Digest, bytes: number): boolean {
    const lacking = this.lackingBytes(digest, bytes)
    return lacking === 0 || (this.usedBytes + lacking <= this.highMark && lacking <= this.freeBytes)
  }

  /** Reserves `bytes` in all for a content: a reservation that it has grows. */
  reserve(digest: Digest, bytes: number): Reservation {
    let reservation = this.#reservations.get(digest)
    const more = Math.max(0, bytes - (reservation?.bytes ?? 0))
    if (reservation === undefined) {
      reservation = new BudgetReservation(() => {
        this.#reservations.delete(digest)
        this.#reservedBytes -= reservation?.bytes ?? 0
        this.#releasedBytes += reservation?.bytes ?? 0
      })
      this.#reservations.set(digest, reservation)
    }
    reservation.bytes += more
    this.#reservedBytes += more
    return reservation
  }

  async measure(): Promise<void> {
    const released = this.#releasedBytes
    this.#measured = await this.#store.measure()
    this.#measuredAt = performance.now()
    this.#releasedBytes -= released
  }
}

class BudgetReservation implements Reservation {
  bytes = 0
  readonly #onReleased: () => void
  #isReleased = false

  constructor(onReleased: () => void) {
    this.#onReleased = onReleased
  }

  release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    this.#onReleased()
  }
}
