import type { MemberId } from '../../identity/member.ts'
import type { KnownMembers } from '../members/known-members.ts'
import type { ListChecksum } from '../members/list-checksum.ts'
import type { Summary } from './gossip-messages.ts'
import type { LinkedMembers } from './linked-members.ts'
import type { Outbox } from './outbox.ts'
import { compareWithSummary, summariesOf } from './summaries.ts'

/** How often a checksum is sent to one of the links: more often after it differed from another one. */
const CHECKSUM_INTERVAL_MS = { equal: 5000, different: 2000 }
const DIFFERENT_MS = 10_000
/** Bounds the cost of comparing whole lists, which is higher in a larger swarm. */
const MIN_COMPARISON_INTERVAL_MS = 500

/**
 * Compares member lists with other members now and then, to find changes whose broadcasts were missed: first by a
 * checksum, and where that differs by summaries, which are answered with what their sender lacks.
 */
export class AntiEntropy {
  readonly #members: KnownMembers
  readonly #links: LinkedMembers
  readonly #outbox: Outbox
  #sentAt: number
  #comparedAt = Number.NEGATIVE_INFINITY
  #differedAt = Number.NEGATIVE_INFINITY

  constructor(options: {
    readonly members: KnownMembers
    readonly links: LinkedMembers
    readonly outbox: Outbox
    readonly now: number
  }) {
    this.#members = options.members
    this.#links = options.links
    this.#outbox = options.outbox
    this.#sentAt = options.now
  }

  tick(now: number): void {
    const hasDiffered = now - this.#differedAt < DIFFERENT_MS
    const { equal, different } = CHECKSUM_INTERVAL_MS
    if (now - this.#sentAt < (hasDiffered ? different : equal)) return
    this.#sentAt = now
    for (const to of this.#links.choose(1)) this.sendChecksum(to)
  }

  sendChecksum(to: MemberId): void {
    this.#outbox.send(to, { checksum: this.#members.checksum() })
  }

  /** If the lists differ, the member that knows fewer members sends summaries to the other one. */
  receiveChecksum(from: MemberId, [high, low, count]: ListChecksum, now: number): void {
    const own = this.#members.checksum()
    if (own[0] === high && own[1] === low) return
    this.#differedAt = now
    if (now - this.#comparedAt < MIN_COMPARISON_INTERVAL_MS) return
    this.#comparedAt = now
    const hasFewer = own[2] < count || (own[2] === count && this.#members.own.member.id < from)
    if (hasFewer) this.#sendSummaries(from)
    else this.sendChecksum(from)
  }

  /** Answers with what the sender of the summary lacks, and asks for what this node lacks. */
  receiveSummary(from: MemberId, summary: Summary): void {
    const { own, others } = this.#members
    const ids = { self: own.member.id, sender: from }
    const { missing, wanted, heartbeats, suspects, goodbyes } = compareWithSummary(summary, others, ids)
    this.#outbox.sendRecords(from, this.#members.records(missing))
    this.#outbox.send(from, { wanted: [...wanted] })
    this.#outbox.send(from, { heartbeats: [...heartbeats] })
    this.#outbox.send(from, { suspects: [...suspects], goodbyes: [...goodbyes] })
  }

  #sendSummaries(to: MemberId): void {
    for (const summary of summariesOf(this.#members.heartbeats())) this.#outbox.send(to, { summary })
  }
}
