import type { Member, MemberId } from '../identity/member.ts'
import {
  type Heartbeat,
  isHeartbeatAuthentic,
  isLater,
  isRecordAuthentic,
  type SignedHeartbeat,
  type SignedRecord,
  type VerifySignature,
  verifySignature,
} from '../identity/signed-record.ts'
import { checksumOf, type IncarnationChecksum, xorChecksums } from './list-checksum.ts'

/** Far more than a swarm has; further members are made up, and are not kept. */
const MAX_MEMBERS = 10_000
/** A link that breaks is often replaced within a second, so only then is its member suspected. */
const RELINK_MS = 1000
/** A suspected member has this long to show a later heartbeat. Both ways take a few gossip rounds each. */
const REFUTATION_MS = 5000
/** A departed member is remembered for longer than old news of it circulates, so that such news does not bring it back. */
const DEPARTED_MS = 120_000

interface PresentMember {
  readonly record: SignedRecord
  heartbeat: SignedHeartbeat
  heardAt: number
  isLinked: boolean
  /** When its last link broke; undefined once it has a link again or is suspected. */
  unlinkedAt: number | undefined
  suspectedAt: number | undefined
}

/** The last heartbeat of a member that has left or was removed. */
export interface DepartedMember extends SignedHeartbeat {
  readonly key: string
  /** The member said goodbye; otherwise it was silent. */
  readonly hasLeft: boolean
  readonly at: number
}

/** What came of a received record or heartbeat. */
export type UpdateOutcome =
  /** The member was not known, or has begun a new incarnation. */
  | 'new-incarnation'
  /** The heartbeat is later than the one that was known. */
  | 'later'
  /** The heartbeat is later, and the member was suspected. */
  | 'refuted'
  | 'known'
  /** The member has departed since. */
  | 'outdated'
  /** No record of this incarnation is known. */
  | 'unknown'
  /** The list is full. */
  | 'full'
  /** The member has not signed it. */
  | 'forged'

/**
 * The other members of the swarm. Only what a member has signed itself is accepted about it. A member to which this node
 * has a link is not suspected because of what others say. Signatures are verified only where they would change the list.
 */
export class MemberList {
  readonly #verifies: VerifySignature
  readonly #present = new Map<MemberId, PresentMember>()
  /** In the order of their departure. */
  readonly #departed = new Map<MemberId, DepartedMember>()
  #checksum: IncarnationChecksum = [0, 0]

  constructor(verifies: VerifySignature = verifySignature) {
    this.#verifies = verifies
  }

  get size(): number {
    return this.#present.size
  }

  /** Lists with the same checksum contain the same members in the same incarnations. */
  get checksum(): IncarnationChecksum {
    return this.#checksum
  }

  get(id: MemberId): Member | undefined {
    return this.#present.get(id)?.record.member
  }

  record(id: MemberId): SignedRecord | undefined {
    return this.#present.get(id)?.record
  }

  heartbeat(id: MemberId): SignedHeartbeat | undefined {
    return this.#present.get(id)?.heartbeat
  }

  departed(id: MemberId): DepartedMember | undefined {
    return this.#departed.get(id)
  }

  isLinked(id: MemberId): boolean {
    return this.#present.get(id)?.isLinked === true
  }

  isSuspected(id: MemberId): boolean {
    return this.#present.get(id)?.suspectedAt !== undefined
  }

  *all(): Generator<Member> {
    for (const { record } of this.#present.values()) yield record.member
  }

  /** `isDirect`: the record came from the member itself, for which there is always room. */
  addRecord(
    record: SignedRecord,
    heartbeat: SignedHeartbeat,
    now: number,
    { isDirect = false }: { isDirect?: boolean } = {},
  ): UpdateOutcome {
    const { member, key } = record
    const { id, incarnation } = member
    const departed = this.#departed.get(id)
    if (departed !== undefined && !isLater(heartbeat, departed)) return 'outdated'
    const present = this.#present.get(id)
    if (present !== undefined && incarnation <= present.record.member.incarnation) {
      return this.addHeartbeat(heartbeat, now)
    }
    const isFull = present === undefined && this.#present.size + this.#departed.size >= MAX_MEMBERS
    if (isFull && !isDirect) return 'full'
    if (!isRecordAuthentic(record, this.#verifies)) return 'forged'
    if (!isHeartbeatAuthentic('alive', key, heartbeat, this.#verifies)) return 'forged'
    if (isFull) this.#makeRoom()
    if (present !== undefined) this.#toggleInChecksum(present.record.member)
    this.#departed.delete(id)
    this.#toggleInChecksum(member)
    this.#present.set(id, {
      record,
      heartbeat,
      heardAt: now,
      isLinked: present?.isLinked === true,
      unlinkedAt: undefined,
      suspectedAt: undefined,
    })
    return 'new-incarnation'
  }

  addHeartbeat(heartbeat: SignedHeartbeat, now: number): UpdateOutcome {
    const departed = this.#departed.get(heartbeat.id)
    if (departed !== undefined) return isLater(heartbeat, departed) ? 'unknown' : 'outdated'
    const present = this.#present.get(heartbeat.id)
    if (present === undefined || heartbeat.incarnation > present.record.member.incarnation) return 'unknown'
    if (!isLater(heartbeat, present.heartbeat)) return 'known'
    if (!isHeartbeatAuthentic('alive', present.record.key, heartbeat, this.#verifies)) return 'forged'
    const wasSuspected = present.suspectedAt !== undefined
    present.heartbeat = heartbeat
    present.heardAt = now
    present.suspectedAt = undefined
    return wasSuspected ? 'refuted' : 'later'
  }

  /** Marks a member as suspected because nothing was heard of it since `heartbeat`. Returns whether that is new. */
  suspect(heartbeat: Heartbeat, now: number): boolean {
    const present = this.#present.get(heartbeat.id)
    if (present === undefined || present.isLinked || present.suspectedAt !== undefined) return false
    if (isLater(present.heartbeat, heartbeat)) return false
    present.suspectedAt = now
    return true
  }

  addGoodbye(goodbye: SignedHeartbeat, now: number): 'left' | 'known' | 'forged' {
    const { id } = goodbye
    const present = this.#present.get(id)
    const departed = this.#departed.get(id)
    const key = present?.record.key ?? departed?.key
    const incarnation = present?.record.member.incarnation ?? departed?.incarnation ?? 0
    const isOutdated = incarnation > goodbye.incarnation
    if (key === undefined || isOutdated || departed?.hasLeft === true) return 'known'
    if (!isHeartbeatAuthentic('goodbye', key, goodbye, this.#verifies)) return 'forged'
    const left: DepartedMember = { ...goodbye, key, hasLeft: true, at: now }
    if (present !== undefined) {
      this.#remove(present, left)
      return 'left'
    }
    this.#rememberDeparted(left)
    return 'known'
  }

  link(id: MemberId): void {
    const present = this.#present.get(id)
    if (present === undefined) return
    present.isLinked = true
    present.unlinkedAt = undefined
    present.suspectedAt = undefined
  }

  unlink(id: MemberId, now: number): void {
    const present = this.#present.get(id)
    if (present === undefined || !present.isLinked) return
    present.isLinked = false
    present.unlinkedAt = now
    present.heardAt = now
  }

  /** The members to suspect now: their link broke, or nothing was heard of them for `silentMs`. Returns each break once. */
  takeSilent(now: number, silentMs: number): SignedHeartbeat[] {
    const silent: SignedHeartbeat[] = []
    for (const present of this.#present.values()) {
      if (present.isLinked || present.suspectedAt !== undefined) continue
      const isBroken = present.unlinkedAt !== undefined && now - present.unlinkedAt >= RELINK_MS
      if (!isBroken && now - present.heardAt < silentMs) continue
      present.unlinkedAt = undefined
      silent.push(present.heartbeat)
    }
    return silent
  }

  /** Removes members that did not refute a suspicion in time, and forgets old departures. Returns whether it removed any. */
  expire(now: number): boolean {
    let isChanged = false
    for (const present of this.#present.values()) {
      if (present.suspectedAt === undefined || now - present.suspectedAt < REFUTATION_MS) continue
      this.#remove(present, { ...present.heartbeat, key: present.record.key, hasLeft: false, at: now })
      isChanged = true
    }
    for (const departed of this.#departed.values()) {
      if (now - departed.at < DEPARTED_MS) break
      this.#departed.delete(departed.id)
    }
    return isChanged
  }

  /** Lets members that were removed for their silence return with any heartbeat, even with one that was known. */
  forgetSilent(): void {
    for (const { id, hasLeft } of this.#departed.values()) if (!hasLeft) this.#departed.delete(id)
  }

  /** Removes the member without a link that was added last. */
  #makeRoom(): void {
    let last: PresentMember | undefined
    for (const present of this.#present.values()) if (!present.isLinked) last = present
    if (last !== undefined) {
      this.#toggleInChecksum(last.record.member)
      this.#present.delete(last.record.member.id)
    } else for (const id of [...this.#departed.keys()].slice(0, 1)) this.#departed.delete(id)
  }

  #remove({ record: { member } }: PresentMember, departed: DepartedMember): void {
    this.#toggleInChecksum(member)
    this.#present.delete(member.id)
    this.#rememberDeparted(departed)
  }

  #rememberDeparted(departed: DepartedMember): void {
    // Deleting the entry first moves it to the end of the map, which `expire` relies on.
    this.#departed.delete(departed.id)
    this.#departed.set(departed.id, departed)
  }

  #toggleInChecksum(member: Member): void {
    this.#checksum = xorChecksums(this.#checksum, checksumOf(member))
  }
}
