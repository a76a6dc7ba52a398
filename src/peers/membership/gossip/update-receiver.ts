import type { Member, MemberId } from '../../identity/member.ts'
import type { RecordWithHeartbeat, SignedHeartbeat } from '../../identity/signed-record.ts'
import type { KnownMembers } from '../members/known-members.ts'
import type { UpdateOutcome } from '../members/member-list.ts'
import type { AntiEntropy } from './anti-entropy.ts'
import type { BroadcastQueue } from './broadcast-queue.ts'
import { type GossipMessage, MAX_HEARTBEATS_PER_MESSAGE } from './gossip-messages.ts'
import type { LinkedMembers } from './linked-members.ts'
import type { Outbox } from './outbox.ts'

interface Parts {
  readonly members: KnownMembers
  readonly links: LinkedMembers
  readonly queue: BroadcastQueue
  readonly antiEntropy: AntiEntropy
  readonly outbox: Outbox
}

/** Receives what members say of themselves (records, heartbeats and goodbyes), and sends on what is new. */
export class UpdateReceiver {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Returns false if something is forged; the rest of the message is not received then. */
  receive(
    from: MemberId,
    { records, heartbeats, goodbyes }: Pick<GossipMessage, 'records' | 'heartbeats' | 'goodbyes'>,
    now: number,
  ): boolean {
    const wanted: MemberId[] = []
    for (const record of records) {
      const outcome = this.#receiveRecord(record, from, now)
      if (outcome === 'forged') return false
      if (outcome === 'unknown') wanted.push(record.heartbeat.id)
    }
    for (const heartbeat of heartbeats) {
      const outcome = this.#receiveHeartbeat(heartbeat, from, now)
      if (outcome === 'forged') return false
      if (outcome === 'unknown') wanted.push(heartbeat.id)
    }
    for (const goodbye of goodbyes) {
      if (this.#receiveGoodbye(goodbye, from, now) === 'forged') return false
    }
    this.#parts.outbox.send(from, { wanted: wanted.slice(0, MAX_HEARTBEATS_PER_MESSAGE) })
    return true
  }

  #receiveRecord(received: RecordWithHeartbeat, from: MemberId, now: number): UpdateOutcome {
    const { members, links, antiEntropy } = this.#parts
    const { record, heartbeat } = received
    const { member } = record
    const { own, others } = members
    if (members.isOwn(member.id)) return this.#broadcastOwn(own.receiveRecord(record, now))
    const isDirect = member.id === from
    if (!isDirect && others.isLinked(member.id) && !this.#isNewIncarnation(member)) return 'known'
    const outcome = others.addRecord(received, now, { isDirect })
    if (isDirect && outcome !== 'outdated' && outcome !== 'forged') {
      others.link(from)
      if (links.introduce(from)) antiEntropy.sendChecksum(from)
    }
    this.#sendOn(heartbeat.id, outcome, from)
    return outcome
  }

  #isNewIncarnation({ id, incarnation }: Member): boolean {
    return incarnation > (this.#parts.members.others.get(id)?.incarnation ?? 0)
  }

  #receiveHeartbeat(heartbeat: SignedHeartbeat, from: MemberId, now: number): UpdateOutcome {
    const { members } = this.#parts
    if (members.isOwn(heartbeat.id)) {
      return this.#broadcastOwn(members.own.receiveHeartbeat('alive', heartbeat, now))
    }
    const outcome = members.others.addHeartbeat(heartbeat, now)
    this.#sendOn(heartbeat.id, outcome, from)
    return outcome
  }

  #receiveGoodbye(goodbye: SignedHeartbeat, from: MemberId, now: number): 'known' | 'left' | UpdateOutcome {
    const { members, queue } = this.#parts
    const { id } = goodbye
    if (members.isOwn(id)) return this.#broadcastOwn(members.own.receiveHeartbeat('goodbye', goodbye, now))
    if (id !== from && members.others.isLinked(id)) return 'known'
    const outcome = members.others.addGoodbye(goodbye, now)
    if (outcome === 'left') queue.add(id, 'goodbye', from)
    return outcome
  }

  /** A member that suspects this agent may have received a later incarnation of it. */
  receiveOwnSuspect(suspect: SignedHeartbeat, now: number): void {
    const { own } = this.#parts.members
    this.#broadcastOwn(own.receiveHeartbeat('alive', suspect, now))
    own.receiveSuspect(suspect)
  }

  #broadcastOwn<Outcome extends UpdateOutcome>(outcome: Outcome): Outcome {
    const { members, queue } = this.#parts
    if (outcome === 'new-incarnation') queue.add(members.own.member.id, 'record')
    return outcome
  }

  #sendOn(id: MemberId, outcome: UpdateOutcome, from: MemberId): void {
    const { queue } = this.#parts
    if (outcome === 'new-incarnation') queue.add(id, 'record', from)
    else if (outcome === 'later') queue.add(id, 'heartbeat', from)
    else if (outcome === 'refuted') queue.add(id, 'refutation', from)
    else if (outcome === 'outdated') this.#sendDeparture(from, id)
  }

  /** Members that were removed for their silence may be alive after all, and then refute the suspect. */
  #sendDeparture(to: MemberId, id: MemberId): void {
    const { members, outbox } = this.#parts
    const departed = members.others.departed(id)
    if (departed === undefined) return
    outbox.send(to, departed.hasLeft ? { goodbyes: [departed] } : { suspects: [departed] })
  }
}
