import { Failure } from '../../ports/failure.ts'
import type { TagRequests } from '../client/tag-requests.ts'
import type { PeerExchange } from '../wire/control/exchange.ts'
import type { PeerRequest } from '../wire/protocol/messages.ts'
import type { LocalNode } from './local-node.ts'

/** Says what a tag refers to. */
export async function answerTag(
  { repository, tag, firsthand }: PeerRequest & { ask: 'tag' },
  exchange: PeerExchange,
  { node, tags }: { node: LocalNode; tags: TagRequests },
): Promise<void> {
  // Two members that take each other for the owner would wait for each other.
  if (!firsthand && tags.isWaitingFor(repository, tag)) {
    throw new Failure('busy', 'this node is asking another member for the tag')
  }
  const options = { signal: exchange.closed, isUpstreamOnly: firsthand }
  const { digest, mediaType, ageMs = 0 } = await node.tag(repository, tag, options)
  exchange.send({ is: 'tag', digest, mediaType: mediaType ?? null, ageMs })
}
