import type { DiskLimit } from '../../lib/disk-limit.ts'
import type { Digest } from '../../oci/digest.ts'
import { BudgetLedger } from './budget-ledger.ts'
import type { BudgetedStore, Freed, PartialSizes, Reservation } from './budget-types.ts'

export interface DiskBudgetOptions {
  readonly store: BudgetedStore
  /** Without a limit every request is granted, and nothing is evicted. */
  readonly limit: DiskLimit | undefined
  /** How much of the filesystem stays free: where other programs fill it, the store is evicted down to what is in use. */
  readonly minFree?: DiskLimit | undefined
  /** How often the budget checks whether the store is within its limit, and the filesystem has enough free space. */
  readonly everyMs?: number
}

/** Eviction frees down to nine tenths of the limit, so that it does not run for every blob. */
const LOW_MARK_SHARE = 0.9
/** The kubelet looks at its filesystems as often. */
const CHECK_MS = 10_000

interface RoomRequest {
  readonly digest: Digest
  readonly bytes: number
  /** How large the content may become. */
  readonly total: number
  readonly settle: (reservation: Reservation | undefined) => void
}

interface CollectionRequest {
  readonly toBytes: number | undefined
  readonly signal: AbortSignal
  readonly settle: (freed: Freed) => void
  readonly fail: (error: unknown) => void
  freed: Freed
}

/**
 * Grants room on the disk. Requests are served in order. When the limit, the high mark, would be crossed, one eviction for
 * all requests frees down to the low mark, and each request is granted as soon as there is room for it. Readers of stored
 * blobs never wait for the budget.
 */
export class DiskBudget {
  readonly #store: BudgetedStore
  readonly #everyMs: number
  #hasLimit = false
  readonly #keepsFree: boolean
  readonly #ledger: BudgetLedger
  #timer: NodeJS.Timeout | undefined
  readonly #requests: RoomRequest[] = []
  readonly #collections: CollectionRequest[] = []
  /** The high mark was crossed, and the low mark is not reached yet. */
  #isAboveLowMark = false
  /**
   * The free bytes that the filesystem should report after the evictions of this run: some filesystems give space back
   * late, and eviction must not remove everything meanwhile.
   */
  #expectedFreeBytes = Number.NEGATIVE_INFINITY
  #running: Promise<void> | undefined
  #isStopped = false

  constructor({ store, limit, minFree, everyMs = CHECK_MS }: DiskBudgetOptions) {
    this.#store = store
    this.#everyMs = everyMs
    this.#keepsFree = minFree !== undefined
    this.#ledger = new BudgetLedger(store, limit, minFree)
    this.#setLimit(limit)
  }

  /** Changes the limit, and starts an eviction if the store is above the new one. */
  limitTo(limit: DiskLimit | undefined): void {
    this.#setLimit(limit)
    if (this.#hasLimit) this.#wake()
  }

  #setLimit(limit: DiskLimit | undefined): void {
    this.#ledger.limitTo(limit)
    this.#hasLimit = limit !== undefined || this.#keepsFree
    clearInterval(this.#timer)
    if (this.#hasLimit && !this.#isStopped) {
      this.#timer = setInterval(() => this.#wake(), this.#everyMs).unref()
    }
  }

  /** How much the store may have now; undefined without a limit, and while the size of the filesystem is not known. */
  get limitBytes(): number | undefined {
    return this.#ledger.limitBytes
  }

  /**
   * Reserves `bytes` in all for a content, after an eviction where one is needed. A second request for the same content lets
   * its reservation grow. `total`: how large the content may become; nothing is evicted for that yet, but where there could
   * never be room for it, the answer is undefined: the content is larger than the limit, or everything else is pinned, open or
   * being received. Never rejects.
   */
  reserve(digest: Digest, bytes: number, total = bytes): Promise<Reservation | undefined> {
    if (this.#isStopped) return Promise.resolve(undefined)
    const ledger = this.#ledger
    const isFree = ledger.isFresh && this.#requests.length === 0 && ledger.fits(digest, total)
    if (!this.#hasLimit || isFree) return Promise.resolve(this.#grant(digest, bytes))
    return new Promise((settle) => {
      this.#requests.push({ digest, bytes, total, settle })
      this.#wake()
    })
  }

  /** Evicts now: down to `toBytes`, or else to the low mark. */
  collect({ toBytes, signal }: { toBytes?: number; signal: AbortSignal }): Promise<Freed> {
    const freed: Freed = { blobs: 0, bytes: 0 }
    if (this.#isStopped || (toBytes === undefined && !this.#hasLimit)) return Promise.resolve(freed)
    return new Promise((settle, fail) => {
      this.#collections.push({ toBytes, signal, settle, fail, freed })
      this.#wake()
    })
  }

  /** Measures, and starts an eviction if the store is above its limit, which may have become smaller. */
  async check(): Promise<void> {
    if (!this.#hasLimit || this.#isStopped) return
    await this.#ledger.measure()
    this.#wake()
  }

  /** Requests that wait get no room. */
  async stop(): Promise<void> {
    this.#isStopped = true
    clearInterval(this.#timer)
    await this.#running
  }

  /** Partials that may be removed: no room is reserved or requested for them. */
  #removablePartials(): PartialSizes {
    const requested = new Set(this.#requests.map(({ digest }) => digest))
    return new Map([...this.#ledger.leftovers()].filter(([digest]) => !requested.has(digest)))
  }

  #grant(digest: Digest, bytes: number): Reservation {
    this.#expectedFreeBytes -= this.#ledger.lackingBytes(digest, bytes)
    return this.#ledger.reserve(digest, bytes)
  }

  #wake(): void {
    if (this.#isStopped && this.#running === undefined) return
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      if (this.#requests.length > 0 || this.#collections.length > 0) this.#wake()
    })
  }

  async #run(): Promise<void> {
    try {
      while (!this.#isStopped) {
        await this.#ledger.measure()
        const unevictable = await this.#store.unevictableBytes()
        this.#refuseImpossible(unevictable)
        this.#grantWhatFits()
        this.#endCollections()
        this.#expectedFreeBytes = Math.max(this.#expectedFreeBytes, this.#ledger.freeBytes)
        const bytes = Math.min(this.#excessBytes(), this.#evictableBytes(unevictable))
        if (bytes <= 0) break
        const reason = this.#requests.length > 0 || this.#isAboveLowMark ? 'room' : 'gc'
        const freed = await this.#store.evict(bytes, reason, this.#removablePartials())
        if (freed.blobs === 0 && freed.bytes === 0) break
        this.#expectedFreeBytes += freed.bytes
        for (const each of this.#collections) each.freed = sum(each.freed, freed)
      }
      if (this.#requests.length > 0) await this.#ledger.measure()
      if (!this.#isStopped) this.#grantWhatFits()
    } catch (error) {
      for (const { fail } of this.#collections.splice(0)) fail(error)
    } finally {
      // Nothing more can be evicted, or the disk refuses it: there is no room for the requests that are left.
      for (const { settle } of this.#requests.splice(0)) settle(undefined)
      for (const { settle, freed } of this.#collections.splice(0)) settle(freed)
      this.#isAboveLowMark = false
      this.#expectedFreeBytes = Number.NEGATIVE_INFINITY
    }
  }

  #grantWhatFits(): void {
    for (let [next] = this.#requests; next !== undefined; [next] = this.#requests) {
      if (!this.#ledger.fits(next.digest, next.bytes)) return
      this.#requests.shift()
      next.settle(this.#grant(next.digest, next.bytes))
    }
  }

  /** Refuses requests for which there would be no room even if everything evictable were evicted. */
  #refuseImpossible(unevictableBytes: number): void {
    const { highMark, usedBytes, freeBytes } = this.#ledger
    const most = Math.min(highMark - usedBytes, freeBytes) + this.#evictableBytes(unevictableBytes)
    for (const each of this.#requests.splice(0)) {
      if (this.#ledger.lackingBytes(each.digest, each.total) > most) each.settle(undefined)
      else this.#requests.push(each)
    }
  }

  #endCollections(): void {
    for (const each of this.#collections.splice(0)) {
      if (each.signal.aborted) each.fail(each.signal.reason)
      else if (this.#ledger.usedBytes <= this.#goalOf(each)) each.settle(each.freed)
      else this.#collections.push(each)
    }
  }

  #goalOf({ toBytes }: CollectionRequest): number {
    return toBytes ?? (this.#ledger.limitBytes ?? Number.POSITIVE_INFINITY) * LOW_MARK_SHARE
  }

  #evictableBytes(unevictableBytes: number): number {
    let evictable = Math.max(0, this.#store.storedBytes() - unevictableBytes)
    for (const { bytes } of this.#removablePartials().values()) evictable += bytes
    return evictable
  }

  /** How many bytes must be freed for the limit, the requests, and the free space of the filesystem. */
  #excessBytes(): number {
    const { usedBytes, highMark } = this.#ledger
    let requested = 0
    for (const { digest, bytes } of this.#requests) {
      const lacking = this.#ledger.lackingBytes(digest, bytes)
      // Of the requests behind the first, only as many count as can have room at the same time.
      if (requested > 0 && requested + lacking > highMark * LOW_MARK_SHARE) break
      requested += lacking
    }
    if (usedBytes + requested > highMark) this.#isAboveLowMark = true
    const aboveLowMark = this.#isAboveLowMark ? usedBytes + requested - highMark * LOW_MARK_SHARE : 0
    const aboveGoal = Math.max(0, ...this.#collections.map((each) => usedBytes - this.#goalOf(each)))
    // Without `minFree` the free space matters only to those who need some.
    const aboveFree = requested === 0 && !this.#keepsFree ? 0 : requested - this.#expectedFreeBytes
    return Math.max(aboveLowMark, aboveGoal, aboveFree)
  }
}

function sum(one: Freed, other: Freed): Freed {
  return { blobs: one.blobs + other.blobs, bytes: one.bytes + other.bytes }
}
