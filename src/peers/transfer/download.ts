import type { VouchedIntake, Want } from '../../ports/source.ts'
import { type Contact, failureOfRefusal, parseMessage, TakeAnswer } from '../wire/messages.ts'
import type { PeerClient } from '../wire/peer-client.ts'

/** How long a parent may take to say how large it is: it may be waiting for that itself. */
const ANSWER_MS = 15_000

/** Brings what is missing from one parent, which may still be getting it itself. Throws a `Failure` where it stops. */
export async function takeFrom(
  parent: Contact,
  { digest, repository }: Want,
  intake: VouchedIntake,
  { dialer, signal }: { dialer: PeerClient; signal: AbortSignal },
): Promise<void> {
  const { id, name } = parent
  const asked = { ask: 'take', digest, repository, from: intake.position }
  const { answer, exchange: line } = await dialer.request(parent, asked, { signal, ms: ANSWER_MS })
  let isDone = false
  try {
    const content = parseMessage(TakeAnswer, answer, name)
    if (content.is === 'refused') throw failureOfRefusal(name, content)
    intake.setContributor({ id, name })
    intake.expect({ size: content.size, mediaType: content.mediaType ?? undefined })
    await line.receiveContent(intake, content.size - intake.position, { signal })
    isDone = true
  } finally {
    if (isDone) line.end()
    else line.destroy()
  }
}
