import type { Digest } from '../../oci/digest.ts'
import type { OpenBlobs } from '../files/open-blobs.ts'
import type { BlobEntry } from '../index/blob-entry.ts'
import type { BlobIndex } from '../index/blob-index.ts'
import type { RankedBlob } from '../index/eviction-order.ts'
import type { LastUse } from '../index/last-use.ts'
import type { EvictionReason, Freed, PartialSizes } from './budget-types.ts'

/** At most 32 blobs are removed in one step: after each step the budget checks whether that is enough. */
const BATCH_LIMIT = 32
const PAGE_SIZE = 64

type Leftover = readonly [Digest, { readonly bytes: number; readonly modifiedAt: number }]

/** The blobs of the store, as far as eviction needs them. */
interface EvictableBlobs {
  readonly openBlobs: OpenBlobs
  /** Drops the blobs that are not busy. */
  drop(entries: readonly BlobEntry[], reason: EvictionReason): Promise<Freed>
  /** The blob is open, being received or being dropped. */
  isBusy(digest: Digest): boolean
  /** Removes a partial. False: a transfer has resumed it. */
  dropPartial(digest: Digest): Promise<boolean>
}

/**
 * Chooses what to evict: the content that was not used for longest, except what is hosted, pinned, needed by pinned content,
 * open or being received. Partials of earlier transfers take part, in the order in which they were last written.
 */
export class Eviction {
  readonly #index: BlobIndex
  readonly #lastUse: LastUse
  readonly #blobs: EvictableBlobs
  #evictedBytes = 0
  #hasRankedAll = false

  constructor(index: BlobIndex, lastUse: LastUse, blobs: EvictableBlobs) {
    this.#index = index
    this.#lastUse = lastUse
    this.#blobs = blobs
  }

  /** All bytes evicted since the start. */
  get evictedBytes(): number {
    return this.#evictedBytes
  }

  /** Bytes of stored blobs that pins protect. A blob that is linked, too, counts as that. */
  pinnedBytes(): Promise<number> {
    const { pins, links } = this.#index
    return pins.retainedBytes(async (digests) => {
      const linked = await links.filterLinked(digests)
      const entries = await this.#index.getMany(digests)
      return entries.map((entry) => (entry === undefined || linked.has(entry.digest) ? 0 : entry.size))
    })
  }

  /** Bytes of stored blobs that must not be evicted now. */
  async unevictableBytes(): Promise<number> {
    let bytes = this.#index.links.bytes + (await this.pinnedBytes())
    for (const { digest, size } of this.#blobs.openBlobs.list()) {
      if (!(await this.#mustStay(digest))) bytes += size
    }
    return bytes
  }

  /** Evicts as `BudgetedStore` describes. */
  async evict(bytes: number, reason: EvictionReason, leftovers: PartialSizes): Promise<Freed> {
    const { evictionOrder } = this.#index
    await evictionOrder.ensureComplete()
    // All uses so far are written at once. Blobs used during the eviction are skipped, as nothing was used later. Where the
    // write fails, as on a full disk, all blobs used since the last write are skipped.
    await this.#lastUse.flush().catch(() => {})
    const partials = [...leftovers].sort(([, one], [, other]) => one.modifiedAt - other.modifiedAt)
    let freed = await this.#evictNext(bytes, reason, partials)
    if (isNothing(freed)) {
      // Blobs that were open when they were passed may be closed by now.
      await this.#lastUse.flush().catch(() => {})
      evictionOrder.rewind()
      freed = await this.#evictNext(bytes, reason, partials)
    }
    if (isNothing(freed)) freed = await this.#dropPartials(partials, bytes)
    if (isNothing(freed) && !this.#hasRankedAll) {
      // An older agent may have stored blobs in this index without ranking them, or a part of the index was lost.
      this.#hasRankedAll = true
      await evictionOrder.rankAll()
      freed = await this.#evictNext(bytes, reason, partials)
    }
    this.#evictedBytes += freed.bytes
    return freed
  }

  /** Removes the next few blobs, or a partial that was written before them. */
  async #evictNext(bytes: number, reason: EvictionReason, partials: Leftover[]): Promise<Freed> {
    const { evictionOrder } = this.#index
    for (;;) {
      const page = await evictionOrder.next(PAGE_SIZE)
      const [first] = page
      if (first === undefined) return { blobs: 0, bytes: 0 }
      const [partial] = partials
      if (partial !== undefined && partial[1].modifiedAt <= first.rank) {
        const freed = await this.#dropPartials(partials.splice(0, 1), bytes)
        if (!isNothing(freed)) return freed
        continue
      }
      const chosen = await this.#choose(page, bytes, partial?.[1].modifiedAt)
      const freed = await this.#blobs.drop(chosen, reason)
      if (!isNothing(freed)) return freed
    }
  }

  /** Chooses blobs of a page until they have `bytes`, and passes those that must stay. */
  async #choose(
    page: readonly RankedBlob[],
    bytes: number,
    before = Number.POSITIVE_INFINITY,
  ): Promise<BlobEntry[]> {
    const { evictionOrder } = this.#index
    const digests = page.map(({ digest }) => digest)
    const entries = await this.#index.getMany(digests)
    const ranks = await evictionOrder.ranks(entries)
    const chosen: BlobEntry[] = []
    const stale: RankedBlob[] = []
    let sum = 0
    for (const [at, blob] of page.entries()) {
      if (sum >= bytes || chosen.length === BATCH_LIMIT || blob.rank >= before) break
      evictionOrder.pass(blob)
      const entry = entries[at]
      if (entry === undefined || ranks[at] !== blob.rank) stale.push(blob)
      else if (this.#lastUse.hasUnwrittenUse(blob.digest)) continue
      else if (this.#blobs.isBusy(blob.digest)) this.#lastUse.mark(blob.digest)
      else if (!(await this.#mustStay(blob.digest))) {
        chosen.push(entry)
        sum += entry.size
      }
    }
    await evictionOrder.removeStale(stale).catch(() => {})
    return chosen
  }

  async #mustStay(digest: Digest): Promise<boolean> {
    const { pins, links } = this.#index
    return (await links.isLinked(digest)) || pins.isRetained(digest)
  }

  async #dropPartials(partials: readonly Leftover[], bytes: number): Promise<Freed> {
    let sum = 0
    for (const [digest, partial] of partials) {
      if (sum >= bytes) break
      if (await this.#blobs.dropPartial(digest)) sum += partial.bytes
    }
    return { blobs: 0, bytes: sum }
  }
}

function isNothing({ blobs, bytes }: Freed): boolean {
  return blobs === 0 && bytes === 0
}
