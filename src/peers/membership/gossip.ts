import type { Identity } from '../identity/identity.ts'
import type { Member, MemberId } from '../identity/member.ts'
import {
  type Heartbeat,
  type HeartbeatKind,
  heartbeatOf,
  isHeartbeatAuthentic,
  isLater,
  isRecordAuthentic,
  MAX_INCARNATION,
  type SignedHeartbeat,
  type SignedRecord,
  Signer,
  type VerifySignature,
  verifySignature,
} from '../identity/signed-record.ts'
import { compareWithSummary, summariesOf } from './anti-entropy.ts'
import { BroadcastQueue } from './broadcast-queue.ts'
import {
  EMPTY_MESSAGE,
  type GossipMessage,
  MAX_HEARTBEATS_PER_MESSAGE,
  MAX_RECORDS_PER_MESSAGE,
  type RecordWithHeartbeat,
  type Summary,
} from './gossip-messages.ts'
import { checksumOf } from './list-checksum.ts'
import { MemberList, type UpdateOutcome } from './member-list.ts'
import { NoticeStore, type PseudonymousNotice } from './rate-limit-notices.ts'

/**
 * Who is there is watched by links, and told by rumours. Whoever loses the link to a member suspects it aloud; the member,
 * if it is alive, hears of that and shows a later sequence; if none comes within seconds it is dropped by all. Rumours cost
 * only when something happens, where heartbeats of all members, told to all, would cost the more the larger the swarm
 * is. For a member whose links all ended together with those they led to there are slow heartbeats, as many per second in a
 * large swarm as in a small one; and who misses a rumour finds out by comparing digests with others now and then.
 *
 * That a member is there, where, since when, and that it leaves, only it can say: that is signed, and whoever passes on
 * what is not signed rightly is a liar, since everybody looks before passing it on. A doubt is anybody's: to refute it, a
 * member signs a later sequence.
 *
 * Pure: time is given, chance too, and what is to be sent is taken by whoever has the links.
 */

export const TICK_MS = 250
/** How many links are told each rumour in one round, and for how many rounds. */
const FANOUT = 3
const NEWS_ROUNDS = 4
const BEAT_ROUNDS = 1
const SWEEP_MS = 1000
const BEAT_MS = { least: 5000, perMember: 300 }
/** As many heartbeats may be missed. */
const MISSED_BEATS = 3
/** Without any link all is hearsay. */
const ALONE_MS = 9000
const DIGEST_MS = { calm: 5000, unequal: 2000 }
const UNEQUAL_MS = 10_000
/** Between two comparisons of all that is known. */
const COMPARE_MS = 500
/** However often it is doubted. */
const REFUTE_MS = 1000
/** Two agents with one identity would otherwise outdo each other without end. */
const REBIRTH_MS = 5000

export interface Outgoing {
  readonly to: MemberId
  readonly message: GossipMessage
}

export interface GossipOptions {
  readonly identity: Identity
  readonly now: number
  readonly random: () => number
  readonly verify?: VerifySignature | undefined
}

export class Gossip {
  readonly members: MemberList
  readonly notices = new NoticeStore()
  readonly #queue = new BroadcastQueue()
  readonly #random: () => number
  readonly #links: MemberId[] = []
  /** Links whose other end has not told of itself yet. */
  readonly #unintroduced = new Set<MemberId>()
  readonly #signer: Signer
  readonly #verifies: VerifySignature
  #self: Member
  #record: SignedRecord
  #heartbeat: SignedHeartbeat
  #isSuspected = false
  /** MemberList that have started together do not go on in step. */
  #jitter: number
  #outgoing: Outgoing[] = []
  readonly #noticeHosts = new Set<string>()
  #isChanged = false
  #rebornAt = Number.NEGATIVE_INFINITY
  #heartbeatAt: number
  #sweptAt: number
  #digestAt: number
  #aloneSince: number
  #comparedAt = Number.NEGATIVE_INFINITY
  #unequalAt = Number.NEGATIVE_INFINITY

  constructor(self: Member, { identity, now, random, verify = verifySignature }: GossipOptions) {
    this.members = new MemberList(verify)
    this.#verifies = verify
    this.#signer = new Signer(identity)
    this.#self = self
    this.#record = this.#signer.signRecord(self)
    this.#heartbeat = this.#signer.signHeartbeat('alive', heartbeatOf(self, 0))
    this.#random = random
    this.#jitter = random()
    this.#heartbeatAt = now
    this.#sweptAt = now
    this.#digestAt = now
    this.#aloneSince = now
  }

  get self(): Member {
    return this.#self
  }

  /** True once after the members, or what they say of themselves, have changed. */
  takeChange(): boolean {
    const isChanged = this.#isChanged
    this.#isChanged = false
    return isChanged
  }

  takeOutgoing(): readonly Outgoing[] {
    const outgoing = this.#outgoing
    this.#outgoing = []
    return outgoing
  }

  /** The other end has proven that it knows the secret. */
  link(id: MemberId, now: number): void {
    // Whom it did not accept while it was alone may have been there all the time.
    if (this.#isAlone(now)) this.members.forgetSilent()
    if (!this.#links.includes(id)) this.#links.push(id)
    this.#unintroduced.add(id)
    this.members.link(id)
    this.#send(id, { records: [this.#ownRecord()], notices: [...this.notices.closed(now)] })
  }

  unlink(id: MemberId, now: number): void {
    const at = this.#links.indexOf(id)
    if (at === -1) return
    this.#links.splice(at, 1)
    this.#unintroduced.delete(id)
    this.members.unlink(id, now)
    if (this.#links.length === 0) this.#aloneSince = now
  }

  /** A registry has told this node so: all members are to know. */
  sendNotice(notice: PseudonymousNotice, now: number): void {
    this.notices.add(notice, now)
  }

  /** Hosts of which something was outcome since the last time. */
  takeNoticeHosts(): readonly string[] {
    const hosts = [...this.#noticeHosts]
    this.#noticeHosts.clear()
    return hosts
  }

  /** The last that a link is told. */
  goodbye(): GossipMessage {
    return {
      ...EMPTY_MESSAGE,
      goodbyes: [this.#signer.signHeartbeat('goodbye', heartbeatOf(this.#self, this.#heartbeat.sequence))],
    }
  }

  /** False when something in it is forged. */
  receive(from: MemberId, message: GossipMessage, now: number): boolean {
    const wanted: MemberId[] = []
    const accept = (id: MemberId, outcome: UpdateOutcome | undefined): boolean => {
      if (outcome === 'unknown') wanted.push(id)
      return outcome !== 'forged'
    }
    for (const account of message.records) {
      if (!accept(account.heartbeat.id, this.#receiveRecord(account, from, now))) return false
    }
    for (const heartbeat of message.heartbeats)
      if (!accept(heartbeat.id, this.#receiveHeartbeat(heartbeat, from, now))) return false
    for (const heartbeat of message.goodbyes) if (!this.#receiveGoodbye(heartbeat, from, now)) return false
    if (wanted.length > 0) this.#send(from, { wanted: wanted.slice(0, MAX_HEARTBEATS_PER_MESSAGE) })
    for (const heartbeat of message.suspects) this.#receiveSuspect(heartbeat, from, now)
    for (const notice of message.notices)
      if (this.notices.add(notice, now, from)) this.#noticeHosts.add(notice.host)
    this.#sendRecords(from, message.wanted)
    if (message.checksum !== undefined) this.#compare(from, message.checksum, now)
    if (message.summary !== undefined) this.#completeList(from, message.summary)
    return true
  }

  tick(now: number): void {
    if (this.#isSuspected && now - this.#heartbeatAt >= REFUTE_MS) this.#renewHeartbeat(now, NEWS_ROUNDS)
    if (now - this.#heartbeatAt >= this.#heartbeatMs() * this.#jitter) this.#renewHeartbeat(now, BEAT_ROUNDS)
    if (now - this.#sweptAt >= SWEEP_MS) this.#sweep(now)
    if (this.#queue.size > 0 || this.notices.hasUnsent) this.#broadcast(now)
    const isUnequal = now - this.#unequalAt < UNEQUAL_MS
    if (now - this.#digestAt >= (isUnequal ? DIGEST_MS.unequal : DIGEST_MS.calm)) {
      this.#digestAt = now
      const [to] = this.#someLinks(1)
      if (to !== undefined) this.#send(to, { checksum: this.#checksum() })
    }
  }

  #heartbeatMs(): number {
    return Math.max(BEAT_MS.least, BEAT_MS.perMember * this.members.size)
  }

  #isAlone(now: number): boolean {
    return this.#links.length === 0 && now - this.#aloneSince >= ALONE_MS
  }

  #renewHeartbeat(now: number, rounds: number): void {
    this.#heartbeat = this.#signer.signHeartbeat(
      'alive',
      heartbeatOf(this.#self, this.#heartbeat.sequence + 1),
    )
    this.#heartbeatAt = now
    this.#jitter = 0.75 + this.#random() / 2
    this.#isSuspected = false
    this.#queue.add(this.#self.id, 'heartbeat', rounds)
  }

  #sweep(now: number): void {
    this.#sweptAt = now
    for (const heartbeat of this.members.takeSilent(
      now,
      this.#isAlone(now) ? 0 : MISSED_BEATS * this.#heartbeatMs(),
    )) {
      this.#suspect(heartbeat, undefined, now)
    }
    if (this.members.expire(now)) this.#isChanged = true
    this.notices.expire(now)
  }

  #suspect(heartbeat: SignedHeartbeat, from: MemberId | undefined, now: number): void {
    if (this.members.suspect(heartbeat, now)) this.#queue.add(heartbeat.id, 'suspect', NEWS_ROUNDS, from)
  }

  #receiveRecord(
    { record, heartbeat }: RecordWithHeartbeat,
    from: MemberId,
    now: number,
  ): UpdateOutcome | undefined {
    const { member } = record
    if (member.id === this.#self.id) {
      const isSigned = (): boolean => isRecordAuthentic(record, this.#verifies)
      return this.#receiveOwn(member, isSigned, now) ? undefined : 'forged'
    }
    const isDirect = member.id === from
    // Of a incarnation that it has a link to, only the link tells.
    if (!isDirect && this.members.isLinked(member.id) && !this.#isNewIncarnation(member)) return undefined
    const outcome = this.members.addRecord(record, heartbeat, now, { isDirect })
    if (isDirect && outcome !== 'outdated' && outcome !== 'forged') {
      this.members.link(from)
      if (this.#unintroduced.delete(from)) this.#send(from, { checksum: this.#checksum() })
    }
    this.#forward(heartbeat, outcome, from)
    return outcome
  }

  #isNewIncarnation({ id, incarnation }: Member): boolean {
    return incarnation > (this.members.get(id)?.incarnation ?? 0)
  }

  #receiveHeartbeat(heartbeat: SignedHeartbeat, from: MemberId, now: number): UpdateOutcome | undefined {
    if (heartbeat.id === this.#self.id) {
      return this.#receiveOwn(heartbeat, () => this.#isSignedBySelf('alive', heartbeat), now)
        ? undefined
        : 'forged'
    }
    const outcome = this.members.addHeartbeat(heartbeat, now)
    this.#forward(heartbeat, outcome, from)
    return outcome
  }

  #forward({ id }: Heartbeat, outcome: UpdateOutcome, from: MemberId): void {
    switch (outcome) {
      case 'new-incarnation':
        this.#isChanged = true
        this.#queue.add(id, 'record', NEWS_ROUNDS, from)
        break
      case 'later':
        this.#queue.add(id, 'heartbeat', BEAT_ROUNDS, from)
        break
      case 'refuted':
        this.#queue.add(id, 'heartbeat', NEWS_ROUNDS, from)
        break
      case 'outdated':
        this.#sendDeparture(from, id)
        break
    }
  }

  /** To one who has not outcome of it. What was only silent may be alive after all: it has to show a later sequence. */
  #sendDeparture(to: MemberId, id: MemberId): void {
    const departed = this.members.departed(id)
    if (departed !== undefined)
      this.#send(to, departed.hasLeft ? { goodbyes: [departed] } : { suspects: [departed] })
  }

  #receiveSuspect(heartbeat: SignedHeartbeat, from: MemberId, now: number): void {
    if (heartbeat.id === this.#self.id) {
      // Who suspects need not have signed it: it may be said of any heartbeat, and any later sequence refutes it.
      this.#receiveOwn(heartbeat, () => this.#isSignedBySelf('alive', heartbeat), now)
      if (!isLater(this.#heartbeat, heartbeat)) this.#isSuspected = true
      return
    }
    const known = this.members.heartbeat(heartbeat.id)
    if (known === undefined) return
    if (isLater(known, heartbeat)) this.#send(from, { heartbeats: [known] })
    // It is there: it shall answer for itself.
    else if (this.members.isLinked(heartbeat.id)) this.#send(heartbeat.id, { suspects: [heartbeat] })
    else this.#suspect(heartbeat, from, now)
  }

  /** False when the member has not said it. */
  #receiveGoodbye(heartbeat: SignedHeartbeat, from: MemberId, now: number): boolean {
    if (heartbeat.id === this.#self.id) {
      return this.#receiveOwn(heartbeat, () => this.#isSignedBySelf('goodbye', heartbeat), now)
    }
    if (heartbeat.id !== from && this.members.isLinked(heartbeat.id)) return true
    const outcome = this.members.addGoodbye(heartbeat, now)
    if (outcome === 'left') {
      this.#isChanged = true
      this.#queue.add(heartbeat.id, 'goodbye', NEWS_ROUNDS, from)
    }
    return outcome !== 'forged'
  }

  /**
   * Told of a later incarnation of its own, such as one before its clock was set back, it begins a still later one. False when
   * there was none.
   */
  #receiveOwn(
    { incarnation }: Pick<Heartbeat, 'incarnation'>,
    isSigned: () => boolean,
    now: number,
  ): boolean {
    if (incarnation <= this.#self.incarnation || now - this.#rebornAt < REBIRTH_MS) return true
    if (!isSigned()) return false
    if (incarnation === MAX_INCARNATION) return true
    this.#rebornAt = now
    this.#self = { ...this.#self, incarnation: incarnation + 1 }
    this.#record = this.#signer.signRecord(this.#self)
    this.#heartbeat = this.#signer.signHeartbeat('alive', heartbeatOf(this.#self, 0))
    this.#isChanged = true
    this.#queue.add(this.#self.id, 'record', NEWS_ROUNDS)
    return true
  }

  #isSignedBySelf(kind: HeartbeatKind, heartbeat: SignedHeartbeat): boolean {
    return isHeartbeatAuthentic(kind, this.#record.key, heartbeat, this.#verifies)
  }

  #ownRecord(): RecordWithHeartbeat {
    return { record: this.#record, heartbeat: this.#heartbeat }
  }

  #broadcast(now: number): void {
    const links = this.#someLinks(FANOUT)
    if (links.length === 0) return
    const round = this.#queue.takeRound()
    const told = this.notices.takeRound(now)
    for (const to of links) {
      const [heartbeats, suspects, goodbyes]: [SignedHeartbeat[], SignedHeartbeat[], SignedHeartbeat[]] = [
        [],
        [],
        [],
      ]
      const records: MemberId[] = []
      for (const { id, kind, from } of round) {
        if (from === to || id === to) continue
        const heartbeat = id === this.#self.id ? this.#heartbeat : this.members.heartbeat(id)
        const departed = this.members.departed(id)
        if (kind === 'goodbye' && departed !== undefined) goodbyes.push(departed)
        else if (kind === 'record') records.push(id)
        else if (kind === 'heartbeat' && heartbeat !== undefined) heartbeats.push(heartbeat)
        else if (kind === 'suspect' && heartbeat !== undefined && this.members.isSuspected(id))
          suspects.push(heartbeat)
      }
      this.#sendRecords(to, records)
      const notices = told.flatMap(({ from, ...notice }) => (from === to ? [] : notice))
      this.#send(to, { heartbeats, suspects, goodbyes, notices })
    }
  }

  #someLinks(count: number): MemberId[] {
    const all = this.#links
    for (let at = 0; at < Math.min(count, all.length); at += 1) {
      const other = at + Math.floor(this.#random() * (all.length - at))
      const [one, two] = [all[at], all[other]]
      if (one === undefined || two === undefined) break
      all[at] = two
      all[other] = one
    }
    return all.slice(0, count)
  }

  #checksum(): [number, number, number] {
    const [one, two] = checksumOf(this.#self)
    const others = this.members.checksum
    return [(others[0] ^ one) >>> 0, (others[1] ^ two) >>> 0, this.members.size + 1]
  }

  /** If the two differ, the one who knows fewer tells whom, and is told of the others. */
  #compare(from: MemberId, [one, two, count]: readonly [number, number, number], now: number): void {
    const own = this.#checksum()
    if (own[0] === one && own[1] === two) return
    this.#unequalAt = now
    if (now - this.#comparedAt < COMPARE_MS) return
    this.#comparedAt = now
    const isFewer = own[2] < count || (own[2] === count && this.#self.id < from)
    if (isFewer) this.#summarize(from)
    else this.#send(from, { checksum: own })
  }

  #summarize(to: MemberId): void {
    const signs = [...this.members.all()].flatMap(({ id }) => this.members.heartbeat(id) ?? [])
    for (const summary of summariesOf([...signs, this.#heartbeat])) this.#send(to, { summary })
  }

  #completeList(to: MemberId, summary: Summary): void {
    const who = { self: this.#self.id, sender: to }
    const { missing, wanted, heartbeats, suspects, goodbyes } = compareWithSummary(summary, this.members, who)
    this.#sendRecords(to, missing)
    this.#send(to, { wanted: [...wanted] })
    this.#send(to, { heartbeats: [...heartbeats] })
    this.#send(to, { suspects: [...suspects], goodbyes: [...goodbyes] })
  }

  #sendRecords(to: MemberId, ids: readonly MemberId[]): void {
    const records = ids.flatMap((id): RecordWithHeartbeat[] => {
      if (id === this.#self.id) return [this.#ownRecord()]
      const [record, heartbeat] = [this.members.record(id), this.members.heartbeat(id)]
      return record === undefined || heartbeat === undefined ? [] : [{ record, heartbeat }]
    })
    for (let at = 0; at < records.length; at += MAX_RECORDS_PER_MESSAGE) {
      this.#send(to, { records: records.slice(at, at + MAX_RECORDS_PER_MESSAGE) })
    }
  }

  #send(to: MemberId, said: Partial<GossipMessage>): void {
    const message = { ...EMPTY_MESSAGE, ...said }
    const { records, heartbeats, suspects, goodbyes, wanted, notices, checksum, summary } = message
    const lists: readonly (readonly unknown[])[] = [records, heartbeats, suspects, goodbyes, wanted, notices]
    if (lists.every((list) => list.length === 0) && checksum === undefined && summary === undefined) return
    this.#outgoing.push({ to, message })
  }
}
