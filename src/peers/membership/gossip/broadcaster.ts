import type { MemberId } from '../../identity/member.ts'
import type { SignedHeartbeat } from '../../identity/signed-record.ts'
import type { KnownMembers } from '../members/known-members.ts'
import type { Broadcast, BroadcastQueue } from './broadcast-queue.ts'
import type { LinkedMembers } from './linked-members.ts'
import type { Outbox } from './outbox.ts'
import type { NoticeStore } from './rate-limit-notices.ts'

/** How many linked members get the broadcasts of one round. */
const FANOUT = 3

interface Parts {
  readonly members: KnownMembers
  readonly links: LinkedMembers
  readonly queue: BroadcastQueue
  readonly notices: NoticeStore
  readonly outbox: Outbox
}

/** Sends the changes of members, and rate-limit notices, on to a few random links in each round. */
export class Broadcaster {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  sendRound(now: number): void {
    const { links, queue, notices, outbox } = this.#parts
    if (queue.size === 0 && !notices.hasUnsent) return
    const receivers = links.choose(FANOUT)
    if (receivers.length === 0) return
    const broadcasts = queue.takeRound()
    const noticesOfRound = notices.takeRound(now)
    for (const to of receivers) {
      const { records, ...changes } = this.#changesFor(to, broadcasts)
      outbox.sendRecords(to, records)
      const notices = noticesOfRound.flatMap(({ from, ...notice }) => (from === to ? [] : notice))
      outbox.send(to, { ...changes, notices })
    }
  }

  #changesFor(to: MemberId, broadcasts: readonly Broadcast[]) {
    const { members } = this.#parts
    const records: MemberId[] = []
    const heartbeats: SignedHeartbeat[] = []
    const suspects: SignedHeartbeat[] = []
    const goodbyes: SignedHeartbeat[] = []
    for (const { id, kind, from } of broadcasts) {
      if (from === to || id === to) continue
      const heartbeat = members.heartbeat(id)
      const departed = members.others.departed(id)
      if (kind === 'goodbye' && departed !== undefined) goodbyes.push(departed)
      else if (kind === 'record') records.push(id)
      else if (heartbeat === undefined) continue
      else if (kind === 'heartbeat' || kind === 'refutation') heartbeats.push(heartbeat)
      else if (kind === 'suspect' && members.others.isSuspected(id)) suspects.push(heartbeat)
    }
    return { records: members.records(records), heartbeats, suspects, goodbyes }
  }
}
