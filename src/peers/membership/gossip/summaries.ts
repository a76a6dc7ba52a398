import type { MemberId } from '../../identity/member.ts'
import { type Heartbeat, isLater, type SignedHeartbeat } from '../../identity/signed-record.ts'
import type { MemberList } from '../members/member-list.ts'
import { MAX_HEARTBEATS_PER_MESSAGE, type Summary } from './gossip-messages.ts'

/** A string that sorts after all ids, which are hexadecimal. */
const AFTER_ALL_IDS = 'g'

/** Summarizes all known members in parts that each fit into one message. */
export function summariesOf(known: readonly Heartbeat[]): Summary[] {
  const sorted = [...known].sort((a, b) => (a.id < b.id ? -1 : 1))
  const summaries: Summary[] = []
  for (let at = 0; at < sorted.length; at += MAX_HEARTBEATS_PER_MESSAGE) {
    const heartbeats = sorted.slice(at, at + MAX_HEARTBEATS_PER_MESSAGE)
    const next = sorted[at + MAX_HEARTBEATS_PER_MESSAGE]
    summaries.push({
      from: at === 0 ? '' : (heartbeats[0]?.id ?? ''),
      to: next?.id ?? AFTER_ALL_IDS,
      heartbeats,
    })
  }
  return summaries
}

/** How the member list of the sender of a summary differs from the list of this node. */
export interface ListDifference {
  /** Members that the sender does not know, or knows from an earlier incarnation. */
  readonly missing: readonly MemberId[]
  /** Members that this node does not know, or knows from an earlier incarnation. */
  readonly wanted: readonly MemberId[]
  /** Heartbeats that are later than those the sender knows. */
  readonly heartbeats: readonly SignedHeartbeat[]
  /** Members that the sender knows, and that this node has removed because they were silent. */
  readonly suspects: readonly SignedHeartbeat[]
  /** Members that the sender knows, and that have said goodbye. */
  readonly goodbyes: readonly SignedHeartbeat[]
}

export function compareWithSummary(
  { from, to, heartbeats: theirs }: Summary,
  members: MemberList,
  { self, sender }: { readonly self: MemberId; readonly sender: MemberId },
): ListDifference {
  const theirHeartbeats = new Map(theirs.map((heartbeat) => [heartbeat.id, heartbeat]))
  const [wanted, missing]: [MemberId[], MemberId[]] = [[], []]
  const heartbeats: SignedHeartbeat[] = []
  const suspects: SignedHeartbeat[] = []
  const goodbyes: SignedHeartbeat[] = []
  for (const { id } of members.all()) {
    if (id < from || id >= to || id === sender) continue
    const [their, own] = [theirHeartbeats.get(id), members.heartbeat(id)]
    if (their === undefined || (own !== undefined && own.incarnation > their.incarnation)) missing.push(id)
    else if (own !== undefined && isLater(own, their)) heartbeats.push(own)
  }
  for (const their of theirs) {
    if (their.id === self) continue
    const departed = members.departed(their.id)
    if (departed !== undefined && !isLater(their, departed)) {
      const list = departed.hasLeft ? goodbyes : suspects
      list.push(departed)
    } else if (their.incarnation > (members.get(their.id)?.incarnation ?? 0)) wanted.push(their.id)
  }
  return { missing, wanted, heartbeats, suspects, goodbyes }
}
