import { Failure } from '../../ports/failure.ts'
import type { Want } from '../../ports/source.ts'
import type { MemberId } from '../identity/member.ts'
import type { JoinRequest, SessionListener, TrackerSession } from '../tracker/session.ts'
import type { Tracker } from '../tracker/tracker.ts'
import type { PeerExchange } from '../wire/exchange.ts'
import { type Contact, Instruction, parseMessage } from '../wire/messages.ts'
import type { PeerClient } from '../wire/peer-client.ts'

/** The owner of a digest, here or elsewhere: it says who brings it from upstream, and who takes it from whom. */
export interface Table {
  readonly id: MemberId
  readonly name: string
  /** It is this node's own. */
  readonly isSelf: boolean
  /** Rejects when the owner cannot be reached. */
  sit(
    want: Want,
    coming: JoinRequest,
    guest: SessionListener,
    options: { signal: AbortSignal },
  ): Promise<TrackerSession>
}

/** An owner says something at once, and then at least every other second. */
const ANSWER_MS = 3000
const SILENCE_MS = 6000

export function ownTable(tracker: Tracker, { id, name }: Pick<Table, 'id' | 'name'>): Table {
  return { id, name, isSelf: true, sit: (want, coming, guest) => tracker.join(want, coming, guest) }
}

export function tableOf(
  owner: Contact,
  dialer: PeerClient,
  {
    answerMs = ANSWER_MS,
    silenceMs = SILENCE_MS,
  }: { answerMs?: number | undefined; silenceMs?: number | undefined } = {},
): Table {
  return {
    id: owner.id,
    name: owner.name,
    isSelf: false,
    sit: async (want, { contact, zone, position, from, hasFailed, best }, guest, { signal }) => {
      const { digest, kind, repository } = want
      const ask = {
        ask: 'follow',
        digest,
        kind,
        repository,
        position,
        from: from ?? null,
        self: contact,
        zone: zone ?? null,
        failed: hasFailed,
        best,
      }
      const { answer, exchange: line } = await dialer.request(owner, ask, { signal, ms: answerMs })
      const left = new AbortController()
      void listen(owner.name, line, answer, guest, { left: left.signal, silenceMs })
      return {
        report: (news) => {
          try {
            line.send(news)
          } catch {
            line.destroy()
          }
        },
        leave: () => left.abort(new Failure('stopping', 'it is not wanted any more')),
      }
    },
  }
}

/** Hands on what the owner says until one of the two has had enough. */
async function listen(
  who: string,
  line: PeerExchange,
  first: unknown,
  guest: SessionListener,
  { left, silenceMs }: { left: AbortSignal; silenceMs: number },
): Promise<void> {
  try {
    for (let message = first; message !== undefined; ) {
      guest.onInstruction(parseMessage(Instruction, message, who))
      message = await line.receive({ signal: left, ms: silenceMs })
    }
    line.end()
  } catch {
    if (left.aborted) line.end()
    else line.destroy()
  } finally {
    guest.onEnded()
  }
}
