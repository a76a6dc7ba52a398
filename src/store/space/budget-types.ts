import type { Digest } from '../../oci/digest.ts'

/** Room on the disk that is reserved for one incoming. */
export interface Reservation {
  readonly bytes: number
  /** The content is stored, or will not be: from now on only its files count. Further calls do nothing. */
  release(): void
}

/** Why blobs are removed: an incoming needs room, the store is above its low mark, or an operator has removed them. */
export type EvictionReason = 'room' | 'gc' | 'removed'

/** How much an eviction has removed. */
export interface Freed {
  readonly blobs: number
  readonly bytes: number
}

/** The files of partials, those of current transfers and those of earlier ones. */
export type PartialSizes = ReadonlyMap<Digest, { readonly bytes: number; readonly modifiedAt: number }>

/** What the disk holds besides stored blobs, and how much more fits. */
export interface DiskMeasurement {
  /** The size of the whole filesystem. */
  readonly totalBytes: number
  readonly freeBytes: number
  readonly quarantineBytes: number
  readonly partials: PartialSizes
}

/** The store whose budget is kept. */
export interface BudgetedStore {
  storedBytes(): number
  /** Bytes of stored blobs that must not be evicted now: hosted, pinned, needed by pinned content, or open. */
  unevictableBytes(): Promise<number>
  measure(): Promise<DiskMeasurement>
  /**
   * Evicts what was not used for longest: a few blobs, and no more than are needed to free `bytes`. `leftovers` are the
   * partials for which no room is reserved. When nothing was freed, nothing can be freed.
   */
  evict(bytes: number, reason: EvictionReason, leftovers: PartialSizes): Promise<Freed>
}
