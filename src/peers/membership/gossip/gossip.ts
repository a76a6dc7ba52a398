import type { Identity } from '../../identity/identity.ts'
import type { Member, MemberId } from '../../identity/member.ts'
import { type VerifySignature, verifySignature } from '../../identity/signed-record.ts'
import { KnownMembers } from '../members/known-members.ts'
import { MemberList } from '../members/member-list.ts'
import { OwnMember } from '../members/own-member.ts'
import { AntiEntropy } from './anti-entropy.ts'
import { BroadcastQueue } from './broadcast-queue.ts'
import { Broadcaster } from './broadcaster.ts'
import { FailureDetector, heartbeatIntervalMs } from './failure-detector.ts'
import { EMPTY_MESSAGE, type GossipMessage } from './gossip-messages.ts'
import { LinkedMembers } from './linked-members.ts'
import { Outbox, type OutgoingMessage } from './outbox.ts'
import { NoticeStore, type PseudonymousNotice } from './rate-limit-notices.ts'
import { UpdateReceiver } from './update-receiver.ts'

export const TICK_MS = 250

export interface GossipOptions {
  readonly identity: Identity
  readonly now: number
  readonly random: () => number
  readonly verifies?: VerifySignature | undefined
}

/**
 * How an agent learns which members are present, and tells others of itself. Changes are broadcast when they happen: a
 * member that joins or leaves, and one that is suspected because a link to it broke. Traffic is thus small while nothing
 * changes. Heartbeats, whose interval grows with the swarm, find members whose links all broke together with those they
 * led to; anti-entropy repairs what broadcasts missed.
 *
 * Only a member itself can say that it is present, where, in which incarnation, and that it leaves: it signs all that,
 * and a member that sends on what is not signed by it loses its link. Any member may suspect another one, which refutes
 * that with a later heartbeat.
 *
 * The gossip is a function of what it receives, the time and random numbers. Its owner has the links, and sends what
 * `takeOutgoing` returns.
 */
export class Gossip {
  readonly members: MemberList
  readonly notices = new NoticeStore()
  readonly #own: OwnMember
  readonly #known: KnownMembers
  readonly #links: LinkedMembers
  readonly #queue = new BroadcastQueue()
  readonly #outbox = new Outbox()
  readonly #broadcaster: Broadcaster
  readonly #antiEntropy: AntiEntropy
  readonly #failureDetector: FailureDetector
  readonly #updates: UpdateReceiver
  readonly #noticeHosts = new Set<string>()
  #takenVersion = 0
  #takenSelf: Member

  constructor(self: Member, { identity, now, random, verifies = verifySignature }: GossipOptions) {
    this.members = new MemberList(verifies)
    this.#own = new OwnMember(self, { identity, now, random, verifies })
    this.#known = new KnownMembers(this.#own, this.members)
    this.#links = new LinkedMembers(now, random)
    this.#takenSelf = self
    const [links, queue, outbox] = [this.#links, this.#queue, this.#outbox]
    this.#antiEntropy = new AntiEntropy({ members: this.#known, links, outbox, now })
    this.#failureDetector = new FailureDetector({ members: this.members, links, queue, outbox, now })
    const parts = { members: this.#known, links, queue, outbox }
    this.#broadcaster = new Broadcaster({ ...parts, notices: this.notices })
    this.#updates = new UpdateReceiver({ ...parts, antiEntropy: this.#antiEntropy })
  }

  get self(): Member {
    return this.#own.member
  }

  /** Returns whether this member or the list of the others has changed since the last call. */
  takeChange(): boolean {
    const { version } = this.members
    const isChanged = version !== this.#takenVersion || this.self !== this.#takenSelf
    this.#takenVersion = version
    this.#takenSelf = this.self
    return isChanged
  }

  takeOutgoing(): readonly OutgoingMessage[] {
    return this.#outbox.take()
  }

  /** The hosts of the notices that were received since the last call. */
  takeNoticeHosts(): readonly string[] {
    const hosts = [...this.#noticeHosts]
    this.#noticeHosts.clear()
    return hosts
  }

  /** A link to this member is open, and its other end has proven that it knows the secret. */
  link(id: MemberId, now: number): void {
    // Members that were removed while this agent was isolated may have been present all the time.
    if (this.#links.isIsolated(now)) this.members.forgetSilent()
    this.#links.add(id)
    this.members.link(id)
    const notices = this.notices.closed(now)
    this.#outbox.send(id, { records: [this.#own.recordWithHeartbeat], notices: [...notices] })
  }

  unlink(id: MemberId, now: number): void {
    if (this.#links.remove(id, now)) this.members.unlink(id, now)
  }

  /** A registry has answered 429 to this node, which all members are to know. */
  sendNotice(notice: PseudonymousNotice, now: number): void {
    this.notices.add(notice, now)
  }

  /** The last message on each link before this agent stops. */
  goodbye(): GossipMessage {
    return { ...EMPTY_MESSAGE, goodbyes: [this.#own.goodbye()] }
  }

  /** Returns false if something in the message is forged. */
  receive(from: MemberId, message: GossipMessage, now: number): boolean {
    if (!this.#updates.receive(from, message, now)) return false
    for (const suspect of message.suspects) {
      if (this.#known.isOwn(suspect.id)) this.#updates.receiveOwnSuspect(suspect, now)
      else this.#failureDetector.receiveSuspect(suspect, from, now)
    }
    for (const notice of message.notices) {
      if (this.notices.add(notice, now, from)) this.#noticeHosts.add(notice.host)
    }
    this.#outbox.sendRecords(from, this.#known.records(message.wanted))
    if (message.checksum !== undefined) this.#antiEntropy.receiveChecksum(from, message.checksum, now)
    if (message.summary !== undefined) this.#antiEntropy.receiveSummary(from, message.summary)
    return true
  }

  tick(now: number): void {
    const renewal = this.#own.renewHeartbeat(now, heartbeatIntervalMs(this.members.size))
    if (renewal !== undefined) {
      this.#queue.add(this.self.id, renewal === 'refutation' ? 'refutation' : 'heartbeat')
    }
    this.#failureDetector.tick(now)
    this.notices.expire(now)
    this.#broadcaster.sendRound(now)
    this.#antiEntropy.tick(now)
  }
}
