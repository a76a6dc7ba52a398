import type { Digest } from '../../oci/digest.ts'

/** How much the store may hold: so many bytes, or a share of the filesystem that it lies on. */
export type DiskLimit = { readonly bytes: number } | { readonly percent: number }

/** Room that is kept free for a blob on its way in. */
export interface Reservation {
  readonly bytes: number
  /** The blob is stored, or will not be: what is on the disk of it counts as such from now on. Once is enough. */
  release(): void
}

/** Why blobs go. */
export type EvictionReason = 'room' | 'gc' | 'removed'

/** What has gone. */
export interface Freed {
  readonly blobs: number
  readonly bytes: number
}

/** Files of blobs on their way in, or left by transfers that came to nothing; `at`: when they were last written. */
export type PartialSizes = ReadonlyMap<Digest, { readonly bytes: number; readonly at: number }>

/** What lies on the disk besides stored blobs, and how much more fits there. */
export interface DiskMeasurement {
  /** Of the whole filesystem, and what of it may still be written. */
  readonly totalBytes: number
  readonly freeBytes: number
  readonly quarantineBytes: number
  readonly partials: PartialSizes
}

/** What a room is made of. */
export interface BudgetedStore {
  /** Bytes of stored blobs. */
  storedBytes(): number
  /** Bytes of stored blobs that must not go now: pinned, needed by what is pinned, being read. */
  unevictableBytes(): Promise<number>
  measure(): Promise<DiskMeasurement>
  /**
   * Lets go of what was not used for longest: a few blobs, and no more than it takes to get `bytes`. `leftovers` are the
   * partials that nobody has reserved. When nothing has gone, nothing can go.
   */
  evict(bytes: number, reason: EvictionReason, leftovers: PartialSizes): Promise<Freed>
}

export interface DiskBudgetOptions {
  readonly store: BudgetedStore
  /** Without one, everything is granted and nothing goes. */
  readonly limit: DiskLimit | undefined
  /** So often it is looked whether there is still as much room as there should be. */
  readonly everyMs?: number
}

/** Eviction goes on down to this part of the limit, so that it is not called for with every blob. */
const LOW_MARK_SHARE = 0.9
/** Left free on the filesystem for the index and for others: a hundredth of it, but not more than this. */
const MARGIN_BYTES = 256 * 1024 * 1024
/** What was measured is believed for so long, as long as everything fits. */
const MEASURED_MS = 1000

interface RoomRequest {
  readonly digest: Digest
  readonly bytes: number
  /** What it may come to. */
  readonly total: number
  readonly settle: (reservation: Reservation | undefined) => void
}

interface CollectionRequest {
  readonly toBytes: number | undefined
  readonly signal: AbortSignal
  readonly settle: (gone: Freed) => void
  readonly fail: (error: unknown) => void
  gone: Freed
}

/**
 * The ledger of the disk: stored blobs, partials, quarantine and what is reserved, against a limit. Who asks for room is
 * served in the order of asking. When the limit, the high mark, would be crossed, one eviction for all who ask goes on
 * down to the low mark, and each is given its room as soon as it is there. Reading never waits for any of this.
 */
export class DiskBudget {
  readonly #store: BudgetedStore
  readonly #limit: DiskLimit | undefined
  readonly #timer: NodeJS.Timeout | undefined
  readonly #reservations = new Map<Digest, BudgetReservation>()
  readonly #waiting: RoomRequest[] = []
  readonly #collecting: CollectionRequest[] = []
  #reserved = 0
  #measured: DiskMeasurement = { totalBytes: 0, freeBytes: 0, quarantineBytes: 0, partials: new Map() }
  #measuredAt = Number.NEGATIVE_INFINITY
  /** Released since then: it may have been written since then too. */
  #settled = 0
  /** The high mark was crossed, the low mark is not reached yet. */
  #sinking = false
  /** What should be free by what has gone: some filesystems give room back late, and must not be emptied meanwhile. */
  #expected = Number.NEGATIVE_INFINITY
  #running: Promise<void> | undefined
  #stopped = false

  constructor({ store: ground, limit, everyMs = 60_000 }: DiskBudgetOptions) {
    this.#store = ground
    this.#limit = limit
    if (limit !== undefined) this.#timer = setInterval(() => this.#wake(), everyMs).unref()
  }

  /** The high mark; undefined without a limit, and while the size of the filesystem is not known. */
  get limitBytes(): number | undefined {
    if (this.#limit === undefined) return undefined
    if ('bytes' in this.#limit) return this.#limit.bytes
    const { totalBytes: total } = this.#measured
    return total === 0 ? undefined : Math.floor((total * this.#limit.percent) / 100)
  }

  /**
   * Room for `bytes` of this blob in all, made by eviction where it must be. Asked again for the same blob, its
   * reservation grows. undefined when there is none and will be none, not even for `total`, for which nothing goes yet:
   * the blob is larger than the limit, or everything else is pinned, being read or on its way in. Never rejects.
   */
  reserve(digest: Digest, bytes: number, total = bytes): Promise<Reservation | undefined> {
    if (this.#stopped) return Promise.resolve(undefined)
    const isFresh = performance.now() - this.#measuredAt < MEASURED_MS
    if (this.#limit === undefined || (isFresh && this.#waiting.length === 0 && this.#fits(digest, total))) {
      return Promise.resolve(this.#grant(digest, bytes))
    }
    return new Promise((settle) => {
      this.#waiting.push({ digest, bytes, total, settle })
      this.#wake()
    })
  }

  /** Evicts now: down to `toBytes`, or else to the low mark. */
  collect({ toBytes, signal }: { toBytes?: number; signal: AbortSignal }): Promise<Freed> {
    const gone: Freed = { blobs: 0, bytes: 0 }
    if (this.#stopped || (toBytes === undefined && this.#limit === undefined)) return Promise.resolve(gone)
    return new Promise((settle, fail) => {
      this.#collecting.push({ toBytes, signal, settle, fail, gone })
      this.#wake()
    })
  }

  /** Measures, and begins to evict what is more than it should be: the limit may have become smaller. */
  async check(): Promise<void> {
    if (this.#limit === undefined || this.#stopped) return
    await this.#measure()
    this.#wake()
  }

  /** Who still waits gets nothing. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearInterval(this.#timer)
    await this.#running
  }

  get #high(): number {
    return this.limitBytes ?? Number.POSITIVE_INFINITY
  }

  get #used(): number {
    let used = this.#store.storedBytes() + this.#measured.quarantineBytes + this.#reserved
    for (const { bytes } of this.#leftovers().values()) used += bytes
    return used
  }

  /** What may still be written besides what was promised already. */
  get #free(): number {
    const { totalBytes: total, freeBytes: free, partials } = this.#measured
    let promised = this.#reserved + this.#settled
    for (const digest of this.#reservations.keys()) promised -= partials.get(digest)?.bytes ?? 0
    return free - Math.min(total / 100, MARGIN_BYTES) - promised
  }

  #leftovers(): PartialSizes {
    return new Map([...this.#measured.partials].filter(([digest]) => !this.#reservations.has(digest)))
  }

  /** Those that may go. */
  #resting(): PartialSizes {
    const asking = new Set(this.#waiting.map(({ digest }) => digest))
    return new Map([...this.#leftovers()].filter(([digest]) => !asking.has(digest)))
  }

  /** What a blob needs besides what counts already: its reservation, or what an earlier attempt has left of it. */
  #lacking(digest: Digest, bytes: number): number {
    const has = this.#reservations.get(digest)?.bytes ?? this.#measured.partials.get(digest)?.bytes ?? 0
    return Math.max(0, bytes - has)
  }

  #fits(digest: Digest, bytes: number): boolean {
    const lacking = this.#lacking(digest, bytes)
    return lacking === 0 || (this.#used + lacking <= this.#high && lacking <= this.#free)
  }

  #grant(digest: Digest, bytes: number): Reservation {
    let reserved = this.#reservations.get(digest)
    const more = Math.max(0, bytes - (reserved?.bytes ?? 0))
    this.#expected -= this.#lacking(digest, bytes)
    if (reserved === undefined) {
      reserved = new BudgetReservation(() => {
        this.#reservations.delete(digest)
        this.#reserved -= reserved?.bytes ?? 0
        this.#settled += reserved?.bytes ?? 0
      })
      this.#reservations.set(digest, reserved)
    }
    reserved.bytes += more
    this.#reserved += more
    return reserved
  }

  async #measure(): Promise<void> {
    const settled = this.#settled
    this.#measured = await this.#store.measure()
    this.#measuredAt = performance.now()
    this.#settled -= settled
  }

  #wake(): void {
    if (this.#stopped && this.#running === undefined) return
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      if (this.#waiting.length > 0 || this.#collecting.length > 0) this.#wake()
    })
  }

  async #run(): Promise<void> {
    try {
      while (!this.#stopped) {
        await this.#measure()
        const held = await this.#store.unevictableBytes()
        this.#refuseTheHopeless(held)
        this.#grantWhatFits()
        this.#endCollecting()
        this.#expected = Math.max(this.#expected, this.#free)
        const bytes = Math.min(this.#tooMany(), this.#movable(held))
        if (bytes <= 0) break
        const reason = this.#waiting.length > 0 || this.#sinking ? 'room' : 'gc'
        const gone = await this.#store.evict(bytes, reason, this.#resting())
        if (gone.blobs === 0 && gone.bytes === 0) break
        this.#expected += gone.bytes
        for (const each of this.#collecting) each.gone = sum(each.gone, gone)
      }
      if (this.#waiting.length > 0) await this.#measure()
      if (!this.#stopped) this.#grantWhatFits()
    } catch (error) {
      for (const { fail } of this.#collecting.splice(0)) fail(error)
    } finally {
      // What cannot go, or a disk that cannot be cleared, leaves no room for them.
      for (const { settle } of this.#waiting.splice(0)) settle(undefined)
      for (const { settle, gone } of this.#collecting.splice(0)) settle(gone)
      this.#sinking = false
      this.#expected = Number.NEGATIVE_INFINITY
    }
  }

  #grantWhatFits(): void {
    for (let [next] = this.#waiting; next !== undefined; [next] = this.#waiting) {
      if (!this.#fits(next.digest, next.bytes)) return
      this.#waiting.shift()
      next.settle(this.#grant(next.digest, next.bytes))
    }
  }

  /** Those for which there would not be room if everything went that can go. */
  #refuseTheHopeless(held: number): void {
    const most = Math.min(this.#high - this.#used, this.#free) + this.#movable(held)
    for (const each of this.#waiting.splice(0)) {
      if (this.#lacking(each.digest, each.total) > most) each.settle(undefined)
      else this.#waiting.push(each)
    }
  }

  #endCollecting(): void {
    for (const each of this.#collecting.splice(0)) {
      if (each.signal.aborted) each.fail(each.signal.reason)
      else if (this.#used <= this.#goalOf(each)) each.settle(each.gone)
      else this.#collecting.push(each)
    }
  }

  #goalOf({ toBytes }: CollectionRequest): number {
    return toBytes ?? this.#high * LOW_MARK_SHARE
  }

  #movable(held: number): number {
    let movable = Math.max(0, this.#store.storedBytes() - held)
    for (const { bytes } of this.#resting().values()) movable += bytes
    return movable
  }

  /** How much there is more than there should be. */
  #tooMany(): number {
    const used = this.#used
    const high = this.#high
    let asked = 0
    for (const { digest, bytes } of this.#waiting) {
      const lacking = this.#lacking(digest, bytes)
      // Of those behind only as many as can have room at the same time.
      if (asked > 0 && asked + lacking > high * LOW_MARK_SHARE) break
      asked += lacking
    }
    if (used + asked > high) this.#sinking = true
    const overMark = this.#sinking ? used + asked - high * LOW_MARK_SHARE : 0
    const overGoal = Math.max(0, ...this.#collecting.map((each) => used - this.#goalOf(each)))
    const overDisk = asked === 0 ? 0 : asked - this.#expected
    return Math.max(overMark, overGoal, overDisk)
  }
}

class BudgetReservation implements Reservation {
  bytes = 0
  readonly #onReleased: () => void
  #released = false

  constructor(onReleased: () => void) {
    this.#onReleased = onReleased
  }

  release(): void {
    if (this.#released) return
    this.#released = true
    this.#onReleased()
  }
}

function sum(one: Freed, other: Freed): Freed {
  return { blobs: one.blobs + other.blobs, bytes: one.bytes + other.bytes }
}
