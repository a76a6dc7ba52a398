import type { VouchedIntake, Want } from '../../ports/source.ts'
import { type Contact, parse, refusedBy, TakeAnswer } from '../wire/messages.ts'
import type { Dialer } from '../wire/peer-client.ts'

/** How long a parent may take to say how large it is: it may be waiting for that itself. */
const ANSWER_MS = 15_000

/** Brings what is missing from one parent, which may still be getting it itself. Throws a `Failure` where it stops. */
export async function takeFrom(
  parent: Contact,
  { digest, repository }: Want,
  intake: VouchedIntake,
  { dialer, signal }: { dialer: Dialer; signal: AbortSignal },
): Promise<void> {
  const { id, name } = parent
  const asked = { ask: 'take', digest, repository, from: intake.position }
  const { answer, line } = await dialer.ask(parent, asked, { signal, ms: ANSWER_MS })
  let isDone = false
  try {
    const content = parse(TakeAnswer, answer, name)
    if (content.is === 'refused') throw refusedBy(name, content)
    intake.setContributor({ id, name })
    intake.expect({ size: content.size, mediaType: content.mediaType ?? undefined })
    await line.pour(intake, content.size - intake.position, { signal })
    isDone = true
  } finally {
    if (isDone) line.end()
    else line.destroy()
  }
}
