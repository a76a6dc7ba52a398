import type { MemberId } from '../../identity/member.ts'
import { isLater, type SignedHeartbeat } from '../../identity/signed-record.ts'
import type { MemberList } from '../members/member-list.ts'
import type { BroadcastQueue } from './broadcast-queue.ts'
import type { LinkedMembers } from './linked-members.ts'
import type { Outbox } from './outbox.ts'

const SWEEP_MS = 1000
/** The interval grows with the swarm, so that a member receives about three heartbeats per second in a large one. */
const HEARTBEAT_INTERVAL_MS = { min: 5000, perMember: 300 }
/** A member is suspected after this many intervals without a heartbeat. */
const MISSED_HEARTBEATS = 3

export function heartbeatIntervalMs(members: number): number {
  return Math.max(HEARTBEAT_INTERVAL_MS.min, HEARTBEAT_INTERVAL_MS.perMember * members)
}

/**
 * Suspects members whose links broke, or of which nothing was heard. All members receive the suspect, which sends a later
 * heartbeat if it is alive; otherwise each of them removes it after a few seconds.
 */
export class FailureDetector {
  readonly #members: MemberList
  readonly #links: LinkedMembers
  readonly #queue: BroadcastQueue
  readonly #outbox: Outbox
  #sweptAt: number

  constructor(options: {
    readonly members: MemberList
    readonly links: LinkedMembers
    readonly queue: BroadcastQueue
    readonly outbox: Outbox
    readonly now: number
  }) {
    this.#members = options.members
    this.#links = options.links
    this.#queue = options.queue
    this.#outbox = options.outbox
    this.#sweptAt = options.now
  }

  tick(now: number): void {
    if (now - this.#sweptAt < SWEEP_MS) return
    this.#sweptAt = now
    const silentMs = MISSED_HEARTBEATS * heartbeatIntervalMs(this.#members.size)
    const silent = this.#members.takeSilent(now, this.#links.isIsolated(now) ? 0 : silentMs)
    for (const heartbeat of silent) this.#suspect(heartbeat, undefined, now)
    this.#members.expire(now)
  }

  /** Another member suspects a third one since that heartbeat. */
  receiveSuspect(suspect: SignedHeartbeat, from: MemberId, now: number): void {
    const { id } = suspect
    const known = this.#members.heartbeat(id)
    if (known === undefined) return
    if (isLater(known, suspect)) this.#outbox.send(from, { heartbeats: [known] })
    // A member with a link to this agent is present, and is asked for a later heartbeat.
    else if (this.#members.isLinked(id)) this.#outbox.send(id, { suspects: [suspect] })
    else this.#suspect(suspect, from, now)
  }

  #suspect(heartbeat: SignedHeartbeat, from: MemberId | undefined, now: number): void {
    if (this.#members.suspect(heartbeat, now)) this.#queue.add(heartbeat.id, 'suspect', from)
  }
}
