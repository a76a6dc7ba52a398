import type { Digest } from '../../oci/digest.ts'
import { Failure } from '../../ports/failure.ts'
import { diskFailure } from '../files/layout.ts'
import type { Reservation } from '../space/budget-types.ts'
import type { DiskBudget } from '../space/disk-budget.ts'

/** The incoming for which room is reserved. */
interface ReservationOwner {
  /** False once the content will not be stored, or is being closed: then no room is requested. */
  isWanted(): boolean
  /** There is no room for the content. */
  refused(failure: Failure): void
  /** No request is pending any more. */
  settled(): void
}

/**
 * The room on the disk that is reserved for one incoming. The incoming owns it, and releases it when the content is stored,
 * when its file takes no more bytes, when it is received anew, and when it is closed.
 */
export class RoomReservation {
  readonly #digest: Digest
  readonly #budget: DiskBudget
  readonly #owner: ReservationOwner
  #expectedBytes = 0
  #pending: Promise<boolean> | undefined
  #reservation: Reservation | undefined

  constructor(digest: Digest, budget: DiskBudget, owner: ReservationOwner) {
    this.#digest = digest
    this.#budget = budget
    this.#owner = owner
  }

  /** How large the content may become, as far as a source has said. */
  get expectedBytes(): number {
    return this.#expectedBytes
  }

  get isPending(): boolean {
    return this.#pending !== undefined
  }

  /** Reserves room, after all requests before this one. Gives false when it is not granted. Never rejects. */
  reserve(size: number, total: number): Promise<boolean> {
    this.#expectedBytes = total
    const pending: Promise<boolean> = this.#request(size, total, this.#pending).finally(() => {
      if (this.#pending !== pending) return
      this.#pending = undefined
      this.#owner.settled()
    })
    this.#pending = pending
    return pending
  }

  /** Resolves when no request is pending. */
  async settled(): Promise<void> {
    while (this.#pending !== undefined) await this.#pending
  }

  /** Must not be called while a request is pending, whose answer would be a reservation again. */
  release(): void {
    this.#reservation?.release()
    this.#reservation = undefined
  }

  async #request(size: number, total: number, before: Promise<boolean> | undefined): Promise<boolean> {
    await before
    if (!this.#owner.isWanted()) return false
    try {
      const reservation = await this.#budget.reserve(this.#digest, size, total)
      if (reservation === undefined) throw new Failure('disk', `there is no room for ${total} bytes`)
      this.#reservation = reservation
      return true
    } catch (cause) {
      this.#owner.refused(diskFailure(`cannot reserve room for ${this.#digest}`, cause))
      return false
    }
  }
}
