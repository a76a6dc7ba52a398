import type { VouchedIntake, Want } from '../../ports/source.ts'
import type { PeerClient } from '../wire/peer-client.ts'
import type { Contact } from '../wire/protocol/messages.ts'

/** How long a parent may take to say the size. A parent that fetches the content may be waiting for its own source. */
const ANSWER_MS = 15_000

/**
 * Downloads what is missing from one parent, which may still be receiving the content itself. Rejects with a `Failure`
 * when the parent fails; the bytes that arrived before stay in the intake.
 */
export async function downloadFrom(
  parent: Contact,
  want: Want,
  intake: VouchedIntake,
  { peerClient, signal }: { peerClient: PeerClient; signal: AbortSignal },
): Promise<void> {
  await peerClient.download(parent, want, intake, { signal, ms: ANSWER_MS })
}
