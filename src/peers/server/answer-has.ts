import type { LocalContent } from '../../ports/local-content.ts'
import type { PeerExchange } from '../wire/control/exchange.ts'
import type { PeerRequest } from '../wire/protocol/messages.ts'

/** Says how much of a digest this node has. Asks upstream first whether the digest is in the repository, unless that is known. */
export async function answerHas(
  { digest, as }: PeerRequest & { ask: 'has' },
  exchange: PeerExchange,
  localContent: LocalContent,
): Promise<void> {
  if (as !== null) await localContent.confirm({ digest, ...as })
  const state = await localContent.state({ digest, repository: as?.repository })
  exchange.send({ is: 'held', position: state?.availableBytes ?? 0, whole: state?.isComplete ?? false })
}
