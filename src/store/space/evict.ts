import type { Digest } from '../../oci/digest.ts'
import type { OpenBlobs } from '../files/open-blobs.ts'
import type { BlobEntry, BlobIndex } from '../index/blob-index.ts'
import type { RankedBlob } from '../index/eviction-order.ts'
import type { LastUse } from '../index/last-use.ts'
import type { EvictionReason, Freed, PartialSizes } from './disk-budget.ts'

/** So many blobs go at a time: then whoever waits for room is asked whether it is enough. */
const BATCH_LIMIT = 32
const PAGE_SIZE = 64

/** The blobs of the store, as far as eviction needs them. */
interface EvictableBlobs {
  readonly openBlobs: OpenBlobs
  /** Drops those of them that are not busy. */
  drop(entries: readonly BlobEntry[], reason: EvictionReason): Promise<Freed>
  /** Somebody has it open, or it is on its way in or out. */
  isBusy(digest: Digest): boolean
  /** Removes what a transfer has left. False: another one goes on with it. */
  dropPartial(digest: Digest): Promise<boolean>
}

/**
 * Chooses what goes: the blobs that were not used for longest, in their order, but nothing that is pinned or needed by
 * what is pinned, being read or on its way in. What transfers have left that came to nothing stands in the same line, by
 * when its last byte came.
 */
export class Eviction {
  readonly #entries: BlobIndex
  readonly #lastUse: LastUse
  readonly #blobs: EvictableBlobs
  #bytes = 0
  #isCompleted = false

  constructor(entries: BlobIndex, lastUse: LastUse, blobs: EvictableBlobs) {
    this.#entries = entries
    this.#lastUse = lastUse
    this.#blobs = blobs
  }

  /** Of all that has gone since the start. */
  get evictedBytes(): number {
    return this.#bytes
  }

  /** Of blobs that must not go now. */
  async unevictableBytes(): Promise<number> {
    const { pins } = this.#entries
    let held = await pins.retainedBytes(async (digests) =>
      (await this.#entries.getMany(digests)).map((entry) => entry?.size ?? 0),
    )
    for (const { digest, size } of this.#blobs.openBlobs.list()) {
      if (!(await pins.isRetained(digest))) held += size
    }
    return held
  }

  /** As `Ground`. */
  async evict(bytes: number, reason: EvictionReason, leftovers: PartialSizes): Promise<Freed> {
    const { evictionOrder } = this.#entries
    await evictionOrder.ensureComplete()
    // One write for all uses so far; those that come while it goes on are skipped, for nothing was used later. Where it
    // fails, as on a full disk, all that was used since the last one is skipped.
    await this.#lastUse.flush().catch(() => {})
    const resting = [...leftovers].sort(([, one], [, other]) => one.at - other.at)
    let gone = await this.#evictNext(bytes, reason, resting)
    if (isNothing(gone)) {
      // Whoever was being read when it was passed may be free by now.
      await this.#lastUse.flush().catch(() => {})
      evictionOrder.rewind()
      gone = await this.#evictNext(bytes, reason, resting)
    }
    if (isNothing(gone)) gone = await this.#dropPartials(resting, bytes)
    if (isNothing(gone) && !this.#isCompleted) {
      // There is more here than the line knows: what was written to this index by an older agent, or lost with a part of it.
      this.#isCompleted = true
      await evictionOrder.rankAll()
      gone = await this.#evictNext(bytes, reason, resting)
    }
    this.#bytes += gone.bytes
    return gone
  }

  /** The next few. */
  async #evictNext(
    bytes: number,
    reason: EvictionReason,
    resting: [Digest, { bytes: number; at: number }][],
  ): Promise<Freed> {
    const { evictionOrder } = this.#entries
    for (;;) {
      const page = await evictionOrder.next(PAGE_SIZE)
      const [first] = page
      if (first === undefined) return { blobs: 0, bytes: 0 }
      const [leftover] = resting
      if (leftover !== undefined && leftover[1].at <= first.rank) {
        const gone = await this.#dropPartials(resting.splice(0, 1), bytes)
        if (!isNothing(gone)) return gone
        continue
      }
      const chosen = await this.#choose(page, bytes, leftover?.[1].at)
      const gone = await this.#blobs.drop(chosen, reason)
      if (!isNothing(gone)) return gone
    }
  }

  /** Those of a page that may go, as many as it takes. Passes what was looked at. */
  async #choose(
    page: readonly RankedBlob[],
    bytes: number,
    before = Number.POSITIVE_INFINITY,
  ): Promise<BlobEntry[]> {
    const { evictionOrder, pins } = this.#entries
    const digests = page.map(({ digest }) => digest)
    const entries = await this.#entries.getMany(digests)
    const places = await evictionOrder.ranks(entries)
    const chosen: BlobEntry[] = []
    const untrue: RankedBlob[] = []
    let sum = 0
    for (const [at, stand] of page.entries()) {
      if (sum >= bytes || chosen.length === BATCH_LIMIT || stand.rank >= before) break
      evictionOrder.pass(stand)
      const entry = entries[at]
      if (entry === undefined || places[at] !== stand.rank) untrue.push(stand)
      else if (this.#lastUse.hasUnwrittenUse(stand.digest)) continue
      else if (this.#blobs.isBusy(stand.digest)) this.#lastUse.mark(stand.digest)
      else if (!(await pins.isRetained(stand.digest))) {
        chosen.push(entry)
        sum += entry.size
      }
    }
    await evictionOrder.removeStale(untrue).catch(() => {})
    return chosen
  }

  async #dropPartials(
    leftovers: readonly (readonly [Digest, { bytes: number }])[],
    bytes: number,
  ): Promise<Freed> {
    let sum = 0
    for (const [digest, leftover] of leftovers) {
      if (sum >= bytes) break
      if (await this.#blobs.dropPartial(digest)) sum += leftover.bytes
    }
    return { blobs: 0, bytes: sum }
  }
}

function isNothing({ blobs, bytes }: Freed): boolean {
  return blobs === 0 && bytes === 0
}
