import { setMaxListeners } from 'node:events'
import type { ActivityReport } from '../../schemas/peer-report.ts'
import { type Member, PEER_PROTOCOL } from '../identity/member.ts'
import { requestOnce } from '../transfer/who-has.ts'
import type { PeerClient } from '../wire/peer-client.ts'
import { ActivityAnswer, parseMessage } from '../wire/protocol/messages.ts'

/** A person waits for the answers. */
const ANSWER_MS = 1500

export interface AskedActivity {
  readonly member: Member
  /** undefined for a member that has not answered in time, or does not know the question. */
  readonly activity: ActivityReport | undefined
}

/** Asks all these members at once what they do. */
export async function askActivities(
  peerClient: PeerClient,
  members: readonly Member[],
  ms = ANSWER_MS,
): Promise<readonly AskedActivity[]> {
  const signal = AbortSignal.timeout(ms)
  setMaxListeners(0, signal)
  return await Promise.all(
    members.map(async (member) => {
      if (member.protocol !== PEER_PROTOCOL) return { member, activity: undefined }
      try {
        const message = await requestOnce(peerClient, member, { ask: 'activity' }, { signal, ms })
        const answer = parseMessage(ActivityAnswer, message, member.name)
        return { member, activity: answer.is === 'activity' ? answer.activity : undefined }
      } catch {
        return { member, activity: undefined }
      }
    }),
  )
}
