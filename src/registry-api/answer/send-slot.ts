import type { ShareUser } from '../connections/fair-share.ts'

/** The owner of a body, and how to end that body when another one needs its send slot. */
export interface Sender extends ShareUser {
  evict(): void
}

/** A client has to take this many bytes in `slowMs`. For a larger write it has longer in proportion. */
const SLOW_BYTES = 64 * 1024

/** What a slot needs from `SendSlots`. */
interface SlotOwner {
  acquire(): Promise<void>
  onTaken(slot: SendSlot): void
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
  #isTaken = true
  #isPaused = false
  #isEnded = false
  #isEvicted = false

  constructor(sender: Sender, owner: SlotOwner) {
    this.sender = sender
    this.#owner = owner
    owner.onTaken(this)
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
    if (this.#isTaken) return
    await this.#owner.acquire()
    this.#isTaken = true
    this.#owner.onTaken(this)
  }

  /** Returns whether the slot was released. */
  releaseIfPaused(): boolean {
    if (!this.#isPaused || this.#pendingBytes.length > 0 || !this.#isTaken) return false
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
    if (!this.#isTaken) return
    this.#isTaken = false
    this.#owner.onReleased(this)
  }
}
