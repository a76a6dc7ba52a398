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
import { differenceTo, summaries } from './anti-entropy.ts'
import { Rumours } from './broadcast-queue.ts'
import { type Account, type Message, NOTHING, RECORDS_AT_ONCE, SIGNS_AT_ONCE } from './gossip-messages.ts'
import { digestOf, type Heard, Members } from './members.ts'
import { Tidings, type Word } from './rate-limit-notices.ts'

/**
 * Who is there is watched by links, and told by rumours. Whoever loses the link to a member doubts it aloud; the member,
 * if it is alive, hears of that and shows a later sequence; if none comes within seconds it is dropped by all. Rumours cost
 * only when something happens, where heartbeats of all members, told to all, would cost the more the larger the swarm
 * is. For a member whose links all ended together with those they led to there are slow beats, as many per second in a
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
/** As many beats may be missed. */
const MISSED_BEATS = 3
/** A sequence that tells of another load comes earlier, but not by more than this. */
const EARLIER = 3
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
  readonly message: Message
}

export interface GossipOptions {
  readonly identity: Identity
  readonly now: number
  readonly random: () => number
  readonly verify?: VerifySignature | undefined
}

export class Gossip {
  readonly members: Members
  readonly tidings = new Tidings()
  readonly #rumours = new Rumours()
  readonly #random: () => number
  readonly #links: MemberId[] = []
  /** Links whose other end has not told of itself yet. */
  readonly #ungreeted = new Set<MemberId>()
  readonly #signer: Signer
  readonly #verifies: VerifySignature
  #self: Member
  #record: SignedRecord
  #sign: SignedHeartbeat
  #load: number
  #isDoubted = false
  /** Members that have started together do not go on in step. */
  #patience: number
  #outgoing: Outgoing[] = []
  readonly #hosts = new Set<string>()
  #isChanged = false
  #bornAt = Number.NEGATIVE_INFINITY
  #beatAt: number
  #sweptAt: number
  #digestAt: number
  #aloneSince: number
  #comparedAt = Number.NEGATIVE_INFINITY
  #unequalAt = Number.NEGATIVE_INFINITY

  constructor(self: Member, { identity, now, random, verify = verifySignature }: GossipOptions) {
    this.members = new Members(verify)
    this.#verifies = verify
    this.#signer = new Signer(identity)
    this.#self = self
    this.#record = this.#signer.signRecord(self)
    this.#sign = this.#signer.signHeartbeat('alive', heartbeatOf(self, 0))
    this.#load = self.load
    this.#random = random
    this.#patience = random()
    this.#beatAt = now
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
    // Whom it did not hear while it was alone may have been there all the time.
    if (this.#isAlone(now)) this.members.forgetSilent()
    if (!this.#links.includes(id)) this.#links.push(id)
    this.#ungreeted.add(id)
    this.members.link(id)
    this.#send(id, { records: [this.#ownAccount()], words: [...this.tidings.closed(now)] })
  }

  unlink(id: MemberId, now: number): void {
    const at = this.#links.indexOf(id)
    if (at === -1) return
    this.#links.splice(at, 1)
    this.#ungreeted.delete(id)
    this.members.unlink(id, now)
    if (this.#links.length === 0) this.#aloneSince = now
  }

  /** Of this node. It is told with a sequence, since it is no news that everybody has to hear at once. */
  set load(load: number) {
    this.#load = load
  }

  /** A registry has told this node so: all members are to know. */
  tell(word: Word, now: number): void {
    this.tidings.hear(word, now)
  }

  /** Hosts of which something was heard since the last time. */
  takeHosts(): readonly string[] {
    const hosts = [...this.#hosts]
    this.#hosts.clear()
    return hosts
  }

  /** The last that a link is told. */
  goodbye(): Message {
    return {
      ...NOTHING,
      goodbyes: [this.#signer.signHeartbeat('goodbye', heartbeatOf(this.#self, this.#sign.sequence))],
    }
  }

  /** False when something in it is forged. */
  receive(from: MemberId, message: Message, now: number): boolean {
    const wanted: MemberId[] = []
    const hear = (id: MemberId, heard: Heard | undefined): boolean => {
      if (heard === 'unknown') wanted.push(id)
      return heard !== 'forged'
    }
    for (const account of message.records) {
      if (!hear(account.sign.id, this.#hearAccount(account, from, now))) return false
    }
    for (const sign of message.beats) if (!hear(sign.id, this.#hearBeat(sign, from, now))) return false
    for (const sign of message.goodbyes) if (!this.#hearGoodbye(sign, from, now)) return false
    if (wanted.length > 0) this.#send(from, { wanted: wanted.slice(0, SIGNS_AT_ONCE) })
    for (const sign of message.doubts) this.#hearDoubt(sign, from, now)
    for (const word of message.words) if (this.tidings.hear(word, now, from)) this.#hosts.add(word.host)
    this.#sendRecords(from, message.wanted)
    if (message.digest !== undefined) this.#compare(from, message.digest, now)
    if (message.summary !== undefined) this.#complete(from, message.summary)
    return true
  }

  tick(now: number): void {
    const restMs = (this.#beatMs() * this.#patience) / (this.#load === this.#self.load ? 1 : EARLIER)
    if (this.#isDoubted && now - this.#beatAt >= REFUTE_MS) this.#showLife(now, NEWS_ROUNDS)
    if (now - this.#beatAt >= restMs) this.#showLife(now, BEAT_ROUNDS)
    if (now - this.#sweptAt >= SWEEP_MS) this.#sweep(now)
    if (this.#rumours.size > 0 || this.tidings.hasNews) this.#spread(now)
    const isUnequal = now - this.#unequalAt < UNEQUAL_MS
    if (now - this.#digestAt >= (isUnequal ? DIGEST_MS.unequal : DIGEST_MS.calm)) {
      this.#digestAt = now
      const [to] = this.#someLinks(1)
      if (to !== undefined) this.#send(to, { digest: this.#digest() })
    }
  }

  #beatMs(): number {
    return Math.max(BEAT_MS.least, BEAT_MS.perMember * this.members.size)
  }

  #isAlone(now: number): boolean {
    return this.#links.length === 0 && now - this.#aloneSince >= ALONE_MS
  }

  #showLife(now: number, rounds: number): void {
    if (this.#load !== this.#self.load) this.#self = { ...this.#self, load: this.#load }
    this.#sign = this.#signer.signHeartbeat('alive', heartbeatOf(this.#self, this.#sign.sequence + 1))
    this.#beatAt = now
    this.#patience = 0.75 + this.#random() / 2
    this.#isDoubted = false
    this.#rumours.add(this.#self.id, 'sequence', rounds)
  }

  #sweep(now: number): void {
    this.#sweptAt = now
    for (const sign of this.members.doubtful(now, this.#isAlone(now) ? 0 : MISSED_BEATS * this.#beatMs())) {
      this.#doubt(sign, undefined, now)
    }
    if (this.members.expire(now)) this.#isChanged = true
    this.tidings.expire(now)
  }

  #doubt(sign: SignedHeartbeat, from: MemberId | undefined, now: number): void {
    if (this.members.doubt(sign, now)) this.#rumours.add(sign.id, 'doubt', NEWS_ROUNDS, from)
  }

  #hearAccount({ record, sign }: Account, from: MemberId, now: number): Heard | undefined {
    const { member } = record
    if (member.id === this.#self.id) {
      const isOwn = (): boolean => isRecordAuthentic(record, this.#verifies)
      return this.#hearOfSelf(member, isOwn, now) ? undefined : 'forged'
    }
    const isDirect = member.id === from
    // Of a incarnation that it has a link to, only the link tells.
    if (!isDirect && this.members.isLinked(member.id) && !this.#isLaterLife(member)) return undefined
    const heard = this.members.hear(record, sign, now, { isDirect })
    if (isDirect && heard !== 'outdated' && heard !== 'forged') {
      this.members.link(from)
      if (this.#ungreeted.delete(from)) this.#send(from, { digest: this.#digest() })
    }
    this.#pass(sign, heard, from)
    return heard
  }

  #isLaterLife({ id, incarnation }: Member): boolean {
    return incarnation > (this.members.get(id)?.incarnation ?? 0)
  }

  #hearBeat(sign: SignedHeartbeat, from: MemberId, now: number): Heard | undefined {
    if (sign.id === this.#self.id) {
      return this.#hearOfSelf(sign, () => this.#isOwn('alive', sign), now) ? undefined : 'forged'
    }
    const heard = this.members.hearSign(sign, now)
    this.#pass(sign, heard, from)
    return heard
  }

  #pass({ id }: Heartbeat, heard: Heard, from: MemberId): void {
    switch (heard) {
      case 'member':
        this.#isChanged = true
        this.#rumours.add(id, 'record', NEWS_ROUNDS, from)
        break
      case 'alive':
        this.#rumours.add(id, 'sequence', BEAT_ROUNDS, from)
        break
      case 'refuted':
        this.#rumours.add(id, 'sequence', NEWS_ROUNDS, from)
        break
      case 'outdated':
        this.#sendGone(from, id)
        break
    }
  }

  /** To one who has not heard of it. What was only silent may be alive after all: it has to show a later sequence. */
  #sendGone(to: MemberId, id: MemberId): void {
    const gone = this.members.gone(id)
    if (gone !== undefined) this.#send(to, gone.hasLeft ? { goodbyes: [gone] } : { doubts: [gone] })
  }

  #hearDoubt(sign: SignedHeartbeat, from: MemberId, now: number): void {
    if (sign.id === this.#self.id) {
      // Who doubts need not have signed it: it may be said of any sign, and any later sequence refutes it.
      this.#hearOfSelf(sign, () => this.#isOwn('alive', sign), now)
      if (!isLater(this.#sign, sign)) this.#isDoubted = true
      return
    }
    const known = this.members.sign(sign.id)
    if (known === undefined) return
    if (isLater(known, sign)) this.#send(from, { beats: [known] })
    // It is there: it shall answer for itself.
    else if (this.members.isLinked(sign.id)) this.#send(sign.id, { doubts: [sign] })
    else this.#doubt(sign, from, now)
  }

  /** False when the member has not said it. */
  #hearGoodbye(sign: SignedHeartbeat, from: MemberId, now: number): boolean {
    if (sign.id === this.#self.id) {
      return this.#hearOfSelf(sign, () => this.#isOwn('goodbye', sign), now)
    }
    if (sign.id !== from && this.members.isLinked(sign.id)) return true
    const heard = this.members.leave(sign, now)
    if (heard === 'left') {
      this.#isChanged = true
      this.#rumours.add(sign.id, 'goodbye', NEWS_ROUNDS, from)
    }
    return heard !== 'forged'
  }

  /**
   * Told of a later incarnation of its own, such as one before its clock was set back, it begins a still later one. False when
   * there was none.
   */
  #hearOfSelf({ incarnation }: Pick<Heartbeat, 'incarnation'>, isOwn: () => boolean, now: number): boolean {
    if (incarnation <= this.#self.incarnation || now - this.#bornAt < REBIRTH_MS) return true
    if (!isOwn()) return false
    if (incarnation === MAX_INCARNATION) return true
    this.#bornAt = now
    this.#self = { ...this.#self, incarnation: incarnation + 1 }
    this.#record = this.#signer.signRecord(this.#self)
    this.#sign = this.#signer.signHeartbeat('alive', heartbeatOf(this.#self, 0))
    this.#isChanged = true
    this.#rumours.add(this.#self.id, 'record', NEWS_ROUNDS)
    return true
  }

  #isOwn(kind: HeartbeatKind, sign: SignedHeartbeat): boolean {
    return isHeartbeatAuthentic(kind, this.#record.key, sign, this.#verifies)
  }

  #ownAccount(): Account {
    return { record: this.#record, sign: this.#sign }
  }

  #spread(now: number): void {
    const links = this.#someLinks(FANOUT)
    if (links.length === 0) return
    const round = this.#rumours.round()
    const told = this.tidings.round(now)
    for (const to of links) {
      const [beats, doubts, goodbyes]: [SignedHeartbeat[], SignedHeartbeat[], SignedHeartbeat[]] = [
        [],
        [],
        [],
      ]
      const records: MemberId[] = []
      for (const { id, kind, from } of round) {
        if (from === to || id === to) continue
        const sign = id === this.#self.id ? this.#sign : this.members.sign(id)
        const gone = this.members.gone(id)
        if (kind === 'goodbye' && gone !== undefined) goodbyes.push(gone)
        else if (kind === 'record') records.push(id)
        else if (kind === 'sequence' && sign !== undefined) beats.push(sign)
        else if (kind === 'doubt' && sign !== undefined && this.members.isDoubted(id)) doubts.push(sign)
      }
      this.#sendRecords(to, records)
      const words = told.flatMap(({ from, ...word }) => (from === to ? [] : word))
      this.#send(to, { beats, doubts, goodbyes, words })
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

  #digest(): [number, number, number] {
    const [one, two] = digestOf(this.#self)
    const others = this.members.digest
    return [(others[0] ^ one) >>> 0, (others[1] ^ two) >>> 0, this.members.size + 1]
  }

  /** If the two differ, the one who knows fewer tells whom, and is told of the others. */
  #compare(from: MemberId, [one, two, count]: readonly [number, number, number], now: number): void {
    const own = this.#digest()
    if (own[0] === one && own[1] === two) return
    this.#unequalAt = now
    if (now - this.#comparedAt < COMPARE_MS) return
    this.#comparedAt = now
    const isFewer = own[2] < count || (own[2] === count && this.#self.id < from)
    if (isFewer) this.#summarize(from)
    else this.#send(from, { digest: own })
  }

  #summarize(to: MemberId): void {
    const signs = [...this.members.all()].flatMap(({ id }) => this.members.sign(id) ?? [])
    for (const summary of summaries([...signs, this.#sign])) this.#send(to, { summary })
  }

  #complete(to: MemberId, summary: NonNullable<Message['summary']>): void {
    const who = { self: this.#self.id, sender: to }
    const { missing, wanted, beats, doubts, goodbyes } = differenceTo(summary, this.members, who)
    this.#sendRecords(to, missing)
    this.#send(to, { wanted: [...wanted] })
    this.#send(to, { beats: [...beats] })
    this.#send(to, { doubts: [...doubts], goodbyes: [...goodbyes] })
  }

  #sendRecords(to: MemberId, ids: readonly MemberId[]): void {
    const records = ids.flatMap((id): Account[] => {
      if (id === this.#self.id) return [this.#ownAccount()]
      const [record, sign] = [this.members.record(id), this.members.sign(id)]
      return record === undefined || sign === undefined ? [] : [{ record, sign }]
    })
    for (let at = 0; at < records.length; at += RECORDS_AT_ONCE) {
      this.#send(to, { records: records.slice(at, at + RECORDS_AT_ONCE) })
    }
  }

  #send(to: MemberId, said: Partial<Message>): void {
    const message = { ...NOTHING, ...said }
    const { records, beats, doubts, goodbyes, wanted, words, digest, summary } = message
    const lists: readonly (readonly unknown[])[] = [records, beats, doubts, goodbyes, wanted, words]
    if (lists.every((list) => list.length === 0) && digest === undefined && summary === undefined) return
    this.#outgoing.push({ to, message })
  }
}
