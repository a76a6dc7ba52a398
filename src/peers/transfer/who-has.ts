import { setMaxListeners } from 'node:events'
import type { Digest } from '../../oci/digest.ts'
import type { Want } from '../../ports/source.ts'
import type { Member } from '../identity/member.ts'
import type { PeerClient } from '../wire/peer-client.ts'
import { HasAnswer, parseMessage } from '../wire/protocol/messages.ts'

/** A transfer waits for the answers before it asks upstream, so they get little time. */
const ANSWER_MS = 500

/** How much of a content a member says that it has. */
export interface ContentLocation {
  readonly member: Member
  readonly position: number
  readonly whole: boolean
}

/** Sends a request that has one answer, and gives the answer. */
export async function requestOnce(
  peerClient: PeerClient,
  member: Member,
  request: object,
  options: { signal: AbortSignal; ms: number },
): Promise<unknown> {
  const { answer, exchange } = await peerClient.request(member, request, options)
  exchange.end()
  return answer
}

/** Asks all these members at once whether they have a content. Those that do not answer in time count as not having it. */
export async function askWhoHas(
  peerClient: PeerClient,
  digest: Digest,
  as: Pick<Want, 'kind' | 'repository'> | undefined,
  members: readonly Member[],
  ms = ANSWER_MS,
): Promise<{ readonly answeredCount: number; readonly holders: readonly ContentLocation[] }> {
  const signal = AbortSignal.timeout(ms)
  setMaxListeners(0, signal)
  const settled = await Promise.allSettled(
    members.map(async (member) => {
      const request = { ask: 'has', digest, as: as ?? null }
      const answer = await requestOnce(peerClient, member, request, { signal, ms })
      return { member, answer: parseMessage(HasAnswer, answer, member.name) }
    }),
  )
  const answered = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  const holders = answered.flatMap(({ member, answer }) => {
    if (answer.is === 'refused' || (answer.position === 0 && !answer.whole)) return []
    return [{ member, position: answer.position, whole: answer.whole }]
  })
  return { answeredCount: answered.length, holders }
}
