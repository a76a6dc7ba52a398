import { Failure } from '../../ports/failure.ts'
import type { Want } from '../../ports/source.ts'
import type { MemberId } from '../identity/member.ts'
import type { JoinRequest, SessionListener, TrackerSession } from '../tracker/session.ts'
import type { Tracker } from '../tracker/tracker.ts'
import type { PeerExchange } from '../wire/control/exchange.ts'
import type { PeerClient } from '../wire/peer-client.ts'
import { type Contact, Instruction, parseMessage } from '../wire/protocol/messages.ts'

/** The tracker of an owner, on this node or on another one. */
export interface TrackerEndpoint {
  /** The owner. */
  readonly id: MemberId
  readonly name: string
  readonly isSelf: boolean
  /** Opens a tracker session. Rejects when the owner cannot be reached. */
  join(
    want: Want,
    request: JoinRequest,
    listener: SessionListener,
    options: { signal: AbortSignal },
  ): Promise<TrackerSession>
}

/** An owner answers at once. */
const ANSWER_MS = 3000
/** An owner sends something at least every other second, so a longer silence means that it has failed. */
const SILENCE_MS = 6000

export function localTracker(
  tracker: Tracker,
  { id, name }: Pick<TrackerEndpoint, 'id' | 'name'>,
): TrackerEndpoint {
  return { id, name, isSelf: true, join: (want, request, listener) => tracker.join(want, request, listener) }
}

export function remoteTracker(
  owner: Contact,
  peerClient: PeerClient,
  {
    answerMs = ANSWER_MS,
    silenceMs = SILENCE_MS,
  }: { answerMs?: number | undefined; silenceMs?: number | undefined } = {},
): TrackerEndpoint {
  return {
    id: owner.id,
    name: owner.name,
    isSelf: false,
    join: async (want, { contact, zone, position, from, hasFailed, best }, listener, { signal }) => {
      const { digest, kind, repository } = want
      const request = {
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
      const { answer, exchange } = await peerClient.request(owner, request, { signal, ms: answerMs })
      const left = new AbortController()
      void receiveInstructions(owner.name, exchange, answer, listener, { left: left.signal, silenceMs })
      return {
        report: (progress) => {
          try {
            exchange.send(progress)
          } catch {
            exchange.destroy()
          }
        },
        leave: () => left.abort(new Failure('stopping', 'this node has left the tracker session')),
      }
    },
  }
}

/** Passes the owner's instructions on until either side ends the session. */
async function receiveInstructions(
  ownerName: string,
  exchange: PeerExchange,
  answer: unknown,
  listener: SessionListener,
  { left, silenceMs }: { left: AbortSignal; silenceMs: number },
): Promise<void> {
  try {
    for (let message = answer; message !== undefined; ) {
      listener.onInstruction(parseMessage(Instruction, message, ownerName))
      message = await exchange.receive({ signal: left, ms: silenceMs })
    }
    exchange.end()
  } catch {
    if (left.aborted) exchange.end()
    else exchange.destroy()
  } finally {
    listener.onEnded()
  }
}
