import type { Member, MemberId } from '../../identity/member.ts'
import {
  type Heartbeat,
  isHeartbeatAuthentic,
  isLater,
  isRecordAuthentic,
  type RecordWithHeartbeat,
  type SignedHeartbeat,
  type SignedRecord,
  type VerifySignature,
  verifySignature,
} from '../../identity/signed-record.ts'
import { type DepartedMember, DepartedMembers } from './departed-members.ts'
import { checksumOf, type IncarnationChecksum, xorChecksums } from './list-checksum.ts'

/** Far more than a swarm has; further members are made up, and are not added. */
const MAX_MEMBERS = 10_000
/** A link that breaks is often replaced within a second, so only then is its member suspected. */
const RELINK_MS = 1000
/** A suspected member has this long to show a later heartbeat. Both ways take a few gossip rounds each. */
const REFUTATION_MS = 5000

interface PresentMember {
  readonly record: SignedRecord
  heartbeat: SignedHeartbeat
  /** When this node received the heartbeat, or lost its link to the member. */
  heardAt: number
  isLinked: boolean
  /** When its last link broke; undefined once it has a link again or is suspected. */
  unlinkedAt: number | undefined
  suspectedAt: number | undefined
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
  readonly #departed = new DepartedMembers()
  #checksum: IncarnationChecksum = [0, 0]
  #version = 0

  constructor(verifies: VerifySignature = verifySignature) {
    this.#verifies = verifies
  }

  get size(): number {
    return this.#present.size
  }

  /** Grows when a member is added, begins a new incarnation or is removed. */
  get version(): number {
    return this.#version
  }

  /** Lists with the same checksum contain the same members in the same incarnations. */
  get checksum(): IncarnationChecksum {
    return this.#checksum
  }

  get(id: MemberId): Member | undefined {
    return this.#present.get(id)?.record.member
  }

  heartbeat(id: MemberId): SignedHeartbeat | undefined {
    return this.#present.get(id)?.heartbeat
  }

  recordWithHeartbeat(id: MemberId): RecordWithHeartbeat | undefined {
    const present = this.#present.get(id)
    return present && { record: present.record, heartbeat: present.heartbeat }
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
    { record, heartbeat }: RecordWithHeartbeat,
    now: number,
    { isDirect = false }: { isDirect?: boolean } = {},
  ): UpdateOutcome {
    const { member, key } = record
    const { id, incarnation } = member
    if (this.#departed.isOutdated(heartbeat)) return 'outdated'
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
    this.#version += 1
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
    const { id, incarnation } = heartbeat
    if (this.#departed.get(id) !== undefined) {
      return this.#departed.isOutdated(heartbeat) ? 'outdated' : 'unknown'
    }
    const present = this.#present.get(id)
    if (present === undefined || incarnation > present.record.member.incarnation) return 'unknown'
    if (!isLater(heartbeat, present.heartbeat)) return 'known'
    if (!isHeartbeatAuthentic('alive', present.record.key, heartbeat, this.#verifies)) return 'forged'
    const wasSuspected = present.suspectedAt !== undefined
    present.heartbeat = heartbeat
    present.heardAt = now
    present.suspectedAt = undefined
    return wasSuspected ? 'refuted' : 'later'
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
    if (present !== undefined) this.#delete(present)
    this.#departed.add({ ...goodbye, key, hasLeft: true, at: now })
    return present === undefined ? 'known' : 'left'
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

  /** Marks a member as suspected because nothing was heard of it since `heartbeat`. Returns whether that is new. */
  suspect(heartbeat: Heartbeat, now: number): boolean {
    const present = this.#present.get(heartbeat.id)
    if (present === undefined || present.isLinked || present.suspectedAt !== undefined) return false
    if (isLater(present.heartbeat, heartbeat)) return false
    present.suspectedAt = now
    return true
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

  /** Removes members that did not show in time that they are alive, and forgets old departures. */
  expire(now: number): void {
    for (const present of this.#present.values()) {
      if (present.suspectedAt === undefined || now - present.suspectedAt < REFUTATION_MS) continue
      this.#delete(present)
      this.#departed.add({ ...present.heartbeat, key: present.record.key, hasLeft: false, at: now })
    }
    this.#departed.expire(now)
  }

  /** Lets members that were removed for their silence return with any heartbeat, even with one that was known. */
  forgetSilent(): void {
    this.#departed.forgetSilent()
  }

  /** Removes the member without a link that was added last, or the departure that is the longest ago. */
  #makeRoom(): void {
    let last: PresentMember | undefined
    for (const present of this.#present.values()) if (!present.isLinked) last = present
    if (last === undefined) this.#departed.deleteOldest()
    else this.#delete(last)
  }

  #delete({ record: { member } }: PresentMember): void {
    this.#toggleInChecksum(member)
    this.#version += 1
    this.#present.delete(member.id)
  }

  #toggleInChecksum(member: Member): void {
    this.#checksum = xorChecksums(this.#checksum, checksumOf(member))
  }
}
