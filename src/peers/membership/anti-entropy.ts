import type { MemberId } from '../identity/member.ts'
import { type Heartbeat, isLater, type SignedHeartbeat } from '../identity/signed-record.ts'
import { type Message, SIGNS_AT_ONCE } from './gossip-messages.ts'
import type { Members } from './members.ts'

/** All who one knows, in parts that each fit into a message. */
type Summary = NonNullable<Message['summary']>

export function summaries(known: readonly Heartbeat[]): Summary[] {
  const signs = [...known].sort((a, b) => (a.id < b.id ? -1 : 1))
  const parts: Summary[] = []
  for (let at = 0; at < signs.length; at += SIGNS_AT_ONCE) {
    const part = signs.slice(at, at + SIGNS_AT_ONCE)
    const after = signs[at + SIGNS_AT_ONCE]
    parts.push({ from: at === 0 ? '' : (part[0]?.id ?? ''), to: after?.id ?? 'g', signs: part })
  }
  return parts
}

/** What whoever has sent the summary has not heard, and what it has and this one has not. */
export interface Difference {
  /** Whose records it is to be sent. */
  readonly missing: readonly MemberId[]
  readonly wanted: readonly MemberId[]
  readonly beats: readonly SignedHeartbeat[]
  readonly doubts: readonly SignedHeartbeat[]
  readonly goodbyes: readonly SignedHeartbeat[]
}

export function differenceTo(
  { from, to, signs }: Summary,
  members: Members,
  who: { readonly self: MemberId; readonly sender: MemberId },
): Difference {
  const theirs = new Map(signs.map((sign) => [sign.id, sign]))
  const [wanted, missing]: [MemberId[], MemberId[]] = [[], []]
  const [beats, doubts, goodbyes]: [SignedHeartbeat[], SignedHeartbeat[], SignedHeartbeat[]] = [[], [], []]
  for (const { id } of members.all()) {
    if (id < from || id >= to || id === who.sender) continue
    const [sign, known] = [theirs.get(id), members.sign(id)]
    if (sign === undefined || (known !== undefined && known.incarnation > sign.incarnation)) missing.push(id)
    else if (known !== undefined && isLater(known, sign)) beats.push(known)
  }
  for (const sign of signs) {
    if (sign.id === who.self) continue
    const gone = members.gone(sign.id)
    if (gone !== undefined && !isLater(sign, gone)) (gone.hasLeft ? goodbyes : doubts).push(gone)
    else if (sign.incarnation > (members.get(sign.id)?.incarnation ?? 0)) wanted.push(sign.id)
  }
  return { missing, wanted, beats, doubts, goodbyes }
}
