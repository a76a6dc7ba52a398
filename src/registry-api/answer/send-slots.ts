import { onAbort } from '../../lib/async/abort.ts'
import { Failure } from '../../ports/failure.ts'
import { FairShare, type Holder, type ShareLimits } from '../connections/fair-share.ts'
import type { ReportRejection } from '../connections/rejections.ts'

/** The owner of a body, and how to end that body when another one needs its send slot. */
export interface Sender extends Holder {
  evict(): void
}

export interface SlotLimits extends ShareLimits {
  /** How long a body waits for a send slot before its client gets a 503. */
  readonly waitMs: number
  /** While others wait, a client that takes less than `SLOW_BYTES` in this time loses its slot. */
  readonly slowMs: number
  /** A sender that has waited for so long gets a slot of a sender with a large share, even if that one makes progress. */
  readonly fairMs: number
  readonly maxWaiting: number
}

/** A client has to take so many bytes in `slowMs`; for a larger write it has longer in proportion. */
const SLOW_BYTES = 64 * 1024
/** How often slots are checked for one to evict while senders wait. */
const EVICTION_INTERVAL_MS = 50
/** How long a paused body waits to get a slot again. Longer than `waitMs`, because its answer has begun. */
const RESUME_MS = 10_000

interface WaitingSender {
  readonly sender: Sender
  readonly since: number
  readonly grant: () => void
  readonly refuse: () => void
}

/**
 * The send slots: the limited number of rights to send a body. A sender that finds none free waits for one. Meanwhile
 * the slowest body of the sender with the largest share is evicted, so that clients that take nothing cannot keep the
 * others waiting.
 */
export class SendSlots {
  readonly #limits: SlotLimits
  readonly #reportRejection: ReportRejection
  readonly #share: FairShare
  readonly #slots = new Set<SendSlot>()
  readonly #waiting: WaitingSender[] = []
  #evictionTimer: NodeJS.Timeout | undefined

  constructor(limits: SlotLimits, reportRejection: ReportRejection) {
    this.#limits = limits
    this.#reportRejection = reportRejection
    this.#share = new FairShare(limits)
  }

  get held(): number {
    return this.#slots.size
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Rejects with a `Failure` when no slot becomes free in time. */
  async take(sender: Sender, { signal }: { signal: AbortSignal }): Promise<SendSlot> {
    await this.#acquire(sender, this.#limits.waitMs, signal)
    return new SendSlot(sender, {
      acquire: () => this.#acquire(sender, RESUME_MS, signal),
      onHeld: (slot) => this.#slots.add(slot),
      hasWaiting: () => this.#waiting.length > 0,
      onReleased: (slot) => {
        this.#slots.delete(slot)
        this.#share.release(sender)
        this.#grantFree()
      },
    })
  }

  /** Resolves when a slot is counted in the sender's share. */
  #acquire(sender: Sender, waitMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason)
    if (this.#share.mayTake(sender)) {
      this.#share.take(sender)
      return Promise.resolve()
    }
    if (this.#waiting.length >= this.#limits.maxWaiting && !this.#refuseOneFor(sender)) {
      return Promise.reject(this.#busyFailure())
    }
    return new Promise((resolve, reject) => {
      const stopWaiting = (): void => {
        clearTimeout(timer)
        stopListening()
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
      }
      const waiting: WaitingSender = {
        sender,
        since: performance.now(),
        refuse: () => {
          stopWaiting()
          reject(this.#busyFailure())
        },
        grant: () => {
          stopWaiting()
          this.#share.take(sender)
          resolve()
        },
      }
      const timer = setTimeout(() => waiting.refuse(), waitMs)
      const stopListening = onAbort(signal, () => {
        stopWaiting()
        reject(signal.reason)
      })
      this.#waiting.push(waiting)
      this.#evictForWaiting()
    })
  }

  #busyFailure(): Failure {
    this.#reportRejection('seats')
    return new Failure('busy', 'The agent is at its limit of concurrent downloads; retry in a moment.', {
      retryAfterMs: 1000,
    })
  }

  /** Refuses the waiting sender with the largest share, if that is larger than the newcomer's. */
  #refuseOneFor(newcomer: Sender): boolean {
    let chosen: WaitingSender | undefined
    let largest = this.#share.shareOf(newcomer)
    for (const waiting of this.#waiting) {
      const share = this.#share.shareOf(waiting.sender)
      if (share <= largest) continue
      chosen = waiting
      largest = share
    }
    chosen?.refuse()
    return chosen !== undefined
  }

  /** Grants free slots: to local clients first, then to the sender with the smallest share. */
  #grantFree(): void {
    for (;;) {
      let next: WaitingSender | undefined
      for (const waiting of this.#waiting) {
        if (!this.#share.mayTake(waiting.sender)) continue
        if (next === undefined || this.#isGrantedBefore(waiting.sender, next.sender)) next = waiting
      }
      if (next === undefined) return
      next.grant()
    }
  }

  #isGrantedBefore(one: Sender, other: Sender): boolean {
    if (one.client.isLocal !== other.client.isLocal) return one.client.isLocal
    return this.#share.shareOf(one) < this.#share.shareOf(other)
  }

  /** Frees slots for waiting senders: of paused bodies, then of slow ones. Repeats while senders wait. */
  #evictForWaiting(): void {
    let becomingFree = 0
    for (const slot of this.#slots) if (slot.isEvicted) becomingFree += 1
    // If only slots reserved for local clients are free, evicting a local client would not help a remote sender.
    const isFull = this.#share.isFull
    for (const waiting of [...this.#waiting]) {
      const { sender } = waiting
      if (!this.#waiting.includes(waiting) || !this.#share.isBelowOwnLimits(sender)) continue
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
    if (this.#waiting.length === 0) return
    this.#evictionTimer ??= setTimeout(() => {
      this.#evictionTimer = undefined
      if (this.#waiting.length > 0) this.#evictForWaiting()
    }, EVICTION_INTERVAL_MS)
  }

  #releasePaused(mayEvict: (slot: SendSlot) => boolean): boolean {
    for (const slot of this.#slots) if (mayEvict(slot) && slot.releaseIfPaused()) return true
    return false
  }

  /** Of the slow slots, one of the sender with the largest share; among equals the one that has stood still longest. */
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

  /** A slot of the sender with the largest share, for a sender that has waited for `fairMs`. */
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

/** What a slot needs from `SendSlots`. */
interface SlotOwner {
  acquire(): Promise<void>
  onHeld(slot: SendSlot): void
  hasWaiting(): boolean
  onReleased(slot: SendSlot): void
}

/** The right of one body to be sent. After `end` the slot is free once the client has taken, or lost, what was sent. */
export class SendSlot {
  readonly sender: Sender
  readonly #owner: SlotOwner
  /** The sizes of the writes that the client has not taken yet. */
  readonly #pendingBytes: number[] = []
  #progressAt = 0
  #isHeld = true
  #isPaused = false
  #isEnded = false
  #isEvicted = false

  constructor(sender: Sender, owner: SlotOwner) {
    this.sender = sender
    this.#owner = owner
    owner.onHeld(this)
  }

  /** When the client last took bytes; infinite while there is nothing for it to take. */
  get notTakenSince(): number {
    return this.#pendingBytes.length === 0 ? Number.POSITIVE_INFINITY : this.#progressAt
  }

  get isEvicted(): boolean {
    return this.#isEvicted
  }

  isSlow(now: number, slowMs: number): boolean {
    const [next] = this.#pendingBytes
    return next !== undefined && now - this.#progressAt >= slowMs * Math.max(1, next / SLOW_BYTES)
  }

  onWrite(bytes: number): void {
    if (this.#pendingBytes.length === 0) this.#progressAt = performance.now()
    this.#pendingBytes.push(bytes)
  }

  /** The client has taken the oldest pending write, or the write has failed. */
  onWriteDone(): void {
    this.#pendingBytes.shift()
    this.#progressAt = performance.now()
    if (this.#pendingBytes.length > 0) return
    if (this.#isEnded) this.#release()
    else if (this.#owner.hasWaiting()) this.releaseIfPaused()
  }

  /** The body has nothing to send for now: another sender may have the slot. */
  pause(): void {
    this.#isPaused = true
    if (this.#owner.hasWaiting()) this.releaseIfPaused()
  }

  /** The body has something to send again. Waits for a slot if this one was given to another sender. */
  async resume(): Promise<void> {
    this.#isPaused = false
    if (this.#isHeld) return
    await this.#owner.acquire()
    this.#isHeld = true
    this.#owner.onHeld(this)
  }

  /** Returns whether the slot was released. */
  releaseIfPaused(): boolean {
    if (!this.#isPaused || this.#pendingBytes.length > 0 || !this.#isHeld) return false
    this.#release()
    return true
  }

  evict(): void {
    this.#isEvicted = true
    this.sender.evict()
  }

  /** The body is sent, or has failed. */
  end(): void {
    this.#isEnded = true
    if (this.#pendingBytes.length === 0) this.#release()
  }

  #release(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    this.#owner.onReleased(this)
  }
}
