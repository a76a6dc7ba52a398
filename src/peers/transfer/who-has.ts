import { setMaxListeners } from 'node:events'
import type { Digest } from '../../oci/digest.ts'
import type { Want } from '../../ports/source.ts'
import type { Member } from '../identity/member.ts'
import { HasAnswer, parseMessage } from '../wire/messages.ts'
import type { PeerClient } from '../wire/peer-client.ts'

const HAS_MS = 500

/** A member that has some of a digest, by its own word. */
export interface Found {
  readonly member: Member
  readonly position: number
  readonly whole: boolean
}

/** One question, one answer. */
export async function askOnce(
  dialer: PeerClient,
  member: Member,
  question: object,
  options: { signal: AbortSignal; ms: number },
): Promise<unknown> {
  const { answer, exchange: line } = await dialer.request(member, question, options)
  line.end()
  return answer
}

/** Asks all of these at once; who has not answered in time has it not. */
export async function askWhoHas(
  dialer: PeerClient,
  digest: Digest,
  as: Pick<Want, 'kind' | 'repository'> | undefined,
  members: readonly Member[],
  ms = HAS_MS,
): Promise<{ readonly answered: number; readonly found: readonly Found[] }> {
  const signal = AbortSignal.timeout(ms)
  setMaxListeners(0, signal)
  const answers = await Promise.allSettled(
    members.map(async (member) => {
      const question = { ask: 'has', digest, as: as ?? null }
      const answer = await askOnce(dialer, member, question, { signal, ms })
      return { member, answer: parseMessage(HasAnswer, answer, member.name) }
    }),
  )
  const given = answers.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  const found = given.flatMap(({ member, answer }) => {
    if (answer.is === 'refused' || (answer.position === 0 && !answer.whole)) return []
    return [{ member, position: answer.position, whole: answer.whole }]
  })
  return { answered: given.length, found }
}
