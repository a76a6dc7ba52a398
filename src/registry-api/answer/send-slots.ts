import { Failure } from '../../ports/failure.ts'
import { FairShare, type ShareLimits } from '../connections/fair-share.ts'
import type { ReportRejection } from '../connections/rejections.ts'
import { type Sender, SendSlot } from './send-slot.ts'
import { type WaitingSender, WaitingSenders } from './waiting-senders.ts'

export interface SlotLimits extends ShareLimits {
  /** How long a body waits for a send slot before its client gets a 503. */
  readonly waitMs: number
  /** While others wait, a client that takes less than 64 KiB in this time loses its slot. */
  readonly slowMs: number
  /** A sender that has waited for so long gets a slot of a sender with a large share, even if that one makes progress. */
  readonly fairMs: number
  readonly maxWaiting: number
  /** Of what there are too many, for the error: `downloads`. */
  readonly what: 'downloads' | 'uploads'
}

/** How often slots are checked for one to evict while senders wait. */
const EVICTION_INTERVAL_MS = 50
/** How long a paused body waits to get a slot again. Longer than `waitMs`, because its answer has begun. */
const RESUME_MS = 10_000

/**
 * The send slots: the limited number of rights to send a body. A sender waits while no slot is free. Meanwhile
 * the slowest body of the sender with the largest share is evicted, so that clients that take nothing cannot keep the
 * others waiting.
 */
export class SendSlots {
  readonly #limits: SlotLimits
  readonly #reportRejection: ReportRejection
  readonly #share: FairShare
  readonly #slots = new Set<SendSlot>()
  readonly #waiting: WaitingSenders
  #evictionTimer: NodeJS.Timeout | undefined

  constructor(limits: SlotLimits, reportRejection: ReportRejection) {
    this.#limits = limits
    this.#reportRejection = reportRejection
    this.#share = new FairShare(limits)
    this.#waiting = new WaitingSenders(limits.maxWaiting, this.#share, () => this.#busyFailure())
  }

  get taken(): number {
    return this.#slots.size
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** Rejects with a `Failure` when no slot becomes free in time. */
  async take(sender: Sender, { signal }: { signal: AbortSignal }): Promise<SendSlot> {
    await this.#acquire(sender, this.#limits.waitMs, signal)
    return new SendSlot(sender, {
      acquire: () => this.#acquire(sender, RESUME_MS, signal),
      onTaken: (slot) => this.#slots.add(slot),
      hasWaiting: () => this.#waiting.size > 0,
      onReleased: (slot) => {
        this.#slots.delete(slot)
        this.#share.release(sender)
        this.#waiting.grantFree()
      },
    })
  }

  /** Resolves when the sender has a slot, which is counted in its share. */
  #acquire(sender: Sender, waitMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason)
    if (this.#share.mayTake(sender)) {
      this.#share.take(sender)
      return Promise.resolve()
    }
    if (!this.#waiting.makeRoomFor(sender)) return Promise.reject(this.#busyFailure())
    const granted = this.#waiting.wait(sender, waitMs, signal)
    this.#evictForWaiting()
    return granted
  }

  #busyFailure(): Failure {
    this.#reportRejection('seats')
    return new Failure(
      'busy',
      `the agent is at its limit of concurrent ${this.#limits.what}; retry in a moment`,
      {
        retryAfterMs: 1000,
      },
    )
  }

  /** Frees slots for waiting senders: of paused bodies, then of slow ones. Repeats while senders wait. */
  #evictForWaiting(): void {
    let becomingFree = 0
    for (const slot of this.#slots) if (slot.isEvicted) becomingFree += 1
    // If only slots reserved for local clients are free, evicting a local client would not help a remote sender.
    const isFull = this.#share.isFull
    for (const waiting of this.#waiting.all()) {
      const { sender } = waiting
      if (!this.#waiting.has(waiting) || !this.#share.isBelowOwnLimits(sender)) continue
      if (becomingFree > 0) {
        becomingFree -= 1
        continue
      }
      const mayEvict = (slot: SendSlot): boolean => isFull || !slot.sender.client.isLocal
      if (this.#releasePaused(mayEvict)) continue
      const chosen = this.#slowest(mayEvict) ?? this.#ofLargestShare(waiting, mayEvict)
      if (chosen === undefined) continue
      this.#reportRejection('slow')
      chosen.evict()
    }
    if (this.#waiting.size === 0) return
    this.#evictionTimer ??= setTimeout(() => {
      this.#evictionTimer = undefined
      if (this.#waiting.size > 0) this.#evictForWaiting()
    }, EVICTION_INTERVAL_MS)
  }

  #releasePaused(mayEvict: (slot: SendSlot) => boolean): boolean {
    for (const slot of this.#slots) if (mayEvict(slot) && slot.releaseIfPaused()) return true
    return false
  }

  /** Chooses a slow slot of the sender with the largest share; among equals the one without progress for longest. */
  #slowest(mayEvict: (slot: SendSlot) => boolean): SendSlot | undefined {
    const now = performance.now()
    let chosen: SendSlot | undefined
    let largest = 0
    for (const slot of this.#slots) {
      if (slot.isEvicted || !slot.isSlow(now, this.#limits.slowMs) || !mayEvict(slot)) continue
      const share = this.#share.shareOf(slot.sender)
      const isBetter =
        share > largest || (share === largest && slot.notTakenSince < (chosen?.notTakenSince ?? 0))
      if (chosen !== undefined && !isBetter) continue
      chosen = slot
      largest = share
    }
    return chosen
  }

  /** Chooses a slot of the sender with the largest share, for a sender that has waited for `fairMs`. */
  #ofLargestShare(
    { sender, since }: WaitingSender,
    mayEvict: (slot: SendSlot) => boolean,
  ): SendSlot | undefined {
    if (performance.now() - since < this.#limits.fairMs) return undefined
    let chosen: SendSlot | undefined
    let largest = this.#share.largeShareFor(sender)
    for (const slot of this.#slots) {
      const share = this.#share.shareOf(slot.sender)
      if (slot.isEvicted || share < largest || !mayEvict(slot)) continue
      chosen = slot
      largest = share + 1
    }
    return chosen
  }
}
