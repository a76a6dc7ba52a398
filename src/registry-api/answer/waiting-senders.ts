import { onAbort } from '../../lib/async/abort.ts'
import type { Failure } from '../../ports/failure.ts'
import type { FairShare } from '../connections/fair-share.ts'
import type { Sender } from './send-slot.ts'

export interface WaitingSender {
  readonly sender: Sender
  readonly since: number
  readonly grant: () => void
  readonly refuse: () => void
}

/** The senders that wait for a send slot. A granted slot is counted in the sender's share. */
export class WaitingSenders {
  readonly #maxWaiting: number
  readonly #share: FairShare
  /** Reports that a sender is refused, and returns the failure for it. */
  readonly #onRefused: () => Failure
  readonly #waiting: WaitingSender[] = []

  constructor(maxWaiting: number, share: FairShare, onRefused: () => Failure) {
    this.#maxWaiting = maxWaiting
    this.#share = share
    this.#onRefused = onRefused
  }

  get size(): number {
    return this.#waiting.length
  }

  has(waiting: WaitingSender): boolean {
    return this.#waiting.includes(waiting)
  }

  /** Copies the list, so that senders can be granted slots while a caller iterates. */
  all(): readonly WaitingSender[] {
    return [...this.#waiting]
  }

  /** Returns whether a newcomer may wait; refuses a sender with a larger share for it if too many wait. */
  makeRoomFor(newcomer: Sender): boolean {
    return this.#waiting.length < this.#maxWaiting || this.#refuseOneFor(newcomer)
  }

  /** Resolves when a slot is granted; rejects after `waitMs`, when the sender is refused, or when the signal is aborted. */
  wait(sender: Sender, waitMs: number, signal: AbortSignal): Promise<void> {
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
          reject(this.#onRefused())
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
    })
  }

  /** Grants free slots: to local clients first, then to the sender with the smallest share. */
  grantFree(): void {
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
}
