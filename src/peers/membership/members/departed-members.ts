import type { MemberId } from '../../identity/member.ts'
import { type Heartbeat, isLater, type SignedHeartbeat } from '../../identity/signed-record.ts'

/** A departed member is remembered for longer than its last heartbeats circulate, so that these do not bring it back. */
const REMEMBERED_MS = 120_000

/** The last heartbeat of a member that has left or was removed. */
export interface DepartedMember extends SignedHeartbeat {
  readonly key: string
  /** The member said goodbye; otherwise it was silent. */
  readonly hasLeft: boolean
  readonly at: number
}

/** The members that are no longer in the member list, for two minutes after their departure. */
export class DepartedMembers {
  /** In the order of their departure. */
  readonly #departed = new Map<MemberId, DepartedMember>()

  get size(): number {
    return this.#departed.size
  }

  get(id: MemberId): DepartedMember | undefined {
    return this.#departed.get(id)
  }

  /** The member has departed since this heartbeat. */
  isOutdated(heartbeat: Heartbeat): boolean {
    const departed = this.#departed.get(heartbeat.id)
    return departed !== undefined && !isLater(heartbeat, departed)
  }

  add(departed: DepartedMember): void {
    // Deleting the entry first moves it to the end of the map, which `expire` relies on.
    this.#departed.delete(departed.id)
    this.#departed.set(departed.id, departed)
  }

  delete(id: MemberId): void {
    this.#departed.delete(id)
  }

  deleteOldest(): void {
    for (const id of this.#departed.keys()) {
      this.#departed.delete(id)
      return
    }
  }

  expire(now: number): void {
    for (const { id, at } of this.#departed.values()) {
      if (now - at < REMEMBERED_MS) break
      this.#departed.delete(id)
    }
  }

  /** Lets members that were removed for their silence return with any heartbeat, even with one that was known. */
  forgetSilent(): void {
    for (const { id, hasLeft } of this.#departed.values()) if (!hasLeft) this.#departed.delete(id)
  }
}
