import { Failure } from '../../ports/failure.ts'
import type { PeerTransfers } from '../client/peer-transfers.ts'
import type { MemberId } from '../identity/member.ts'
import type { TrackerSession } from '../tracker/session.ts'
import type { Tracker } from '../tracker/tracker.ts'
import type { PeerExchange } from '../wire/control/exchange.ts'
import { type PeerRequest, Progress, parseMessage } from '../wire/protocol/messages.ts'

/** A participant sends something every second, so a longer silence means that it has failed. */
const SILENCE_MS = 6000

type FollowRequest = PeerRequest & { ask: 'follow' }

export interface FollowOptions {
  readonly selfId: MemberId
  readonly tracker: Tracker
  readonly transfers: PeerTransfers
  readonly silenceMs?: number | undefined
}

/** Opens a tracker session for another member, and passes messages on until either side ends it. */
export async function answerFollow(
  request: FollowRequest,
  exchange: PeerExchange,
  { selfId, tracker, transfers, silenceMs = SILENCE_MS }: FollowOptions,
): Promise<void> {
  assertOwnContact(request, exchange)
  assertIsOwner(request, selfId, transfers)
  const { digest, kind, repository, position, self, zone, from, failed, best } = request
  const joining = {
    contact: self,
    zone: zone ?? undefined,
    position,
    from: from ?? undefined,
    hasFailed: failed,
    best,
  }
  const ended = new AbortController()
  // Opening the session may take long, and the other side waits for a first answer.
  exchange.send({ is: 'beat' })
  const session = await tracker.join({ digest, kind, repository }, joining, {
    onInstruction: (instruction) => {
      try {
        exchange.send(instruction)
      } catch {
        ended.abort(new Failure('stopping', 'the participant is gone'))
      }
    },
    onEnded: () => ended.abort(new Failure('stopping', 'the tracker has ended the session')),
  })
  try {
    await receiveProgress(exchange, session, { signal: ended.signal, ms: silenceMs })
  } catch {
    // The participant has failed, or the session was ended. Either way it leaves the delivery plan.
  } finally {
    session.leave()
  }
}

async function receiveProgress(
  exchange: PeerExchange,
  session: TrackerSession,
  options: { signal: AbortSignal; ms: number },
): Promise<void> {
  for (;;) {
    const message = await exchange.receive(options)
    if (message === undefined) return
    session.report(parseMessage(Progress, message, exchange.peerName))
  }
}

/** A member must not join in the name of another one. */
function assertOwnContact({ self }: FollowRequest, { remoteIdentity }: PeerExchange): void {
  if (self.id !== remoteIdentity.id || self.fingerprint !== remoteIdentity.fingerprint) {
    throw new Failure('denied', 'the request contains the contact of another member')
  }
}

/** Refuses to be the owner while this node takes the content by the plan of another owner. */
function assertIsOwner(
  { digest, self, failed }: FollowRequest,
  selfId: MemberId,
  transfers: PeerTransfers,
): void {
  const own = transfers.underWay(digest)
  // The other side tries the next owner, too, so all participants meet in one plan.
  if (own?.hasChangedOwner) throw new Failure('busy', 'this node takes part in the plan of another owner')
  // Two members that take each other for the owner would wait for each other. One of the two must be the owner, and not
  // the one that upstream has failed.
  const isMutual = own?.ownerId === self.id && !failed
  if (isMutual && selfId > self.id) throw new Failure('busy', 'this node takes part in your plan')
}
