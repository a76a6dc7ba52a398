import type { VouchedIntake, Want } from '../../ports/source.ts'
import type { PeerClient } from '../wire/peer-client.ts'
import { type Contact, failureOfRefused, parseMessage, TakeAnswer } from '../wire/protocol/messages.ts'

/** How long a parent may take to say the size. A parent that fetches the content may be waiting for its own source. */
const ANSWER_MS = 15_000

/**
 * Downloads what is missing from one parent, which may still be receiving the content itself. Rejects with a `Failure`
 * when the parent fails; the bytes that arrived before stay in the intake.
 */
export async function downloadFrom(
  parent: Contact,
  { digest, repository }: Want,
  intake: VouchedIntake,
  { peerClient, signal }: { peerClient: PeerClient; signal: AbortSignal },
): Promise<void> {
  const { id, name } = parent
  const request = { ask: 'take', digest, repository, from: intake.position }
  const { answer, exchange } = await peerClient.request(parent, request, { signal, ms: ANSWER_MS })
  let isDone = false
  try {
    const head = parseMessage(TakeAnswer, answer, name)
    if (head.is === 'refused') throw failureOfRefused(name, head)
    intake.setContributor({ id, name })
    intake.expect({ size: head.size, mediaType: head.mediaType ?? undefined })
    await exchange.receiveContent(intake, head.size - intake.position, { signal })
    isDone = true
  } finally {
    if (isDone) exchange.end()
    else exchange.destroy()
  }
}
