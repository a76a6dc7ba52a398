import type { Content } from '../../ports/content.ts'
import { Failure } from '../../ports/failure.ts'
import type { LocalContent } from '../../ports/local-content.ts'
import type { ContentUpload } from '../wire/content/content-upload.ts'
import type { PeerStats } from './peer-stats.ts'

export interface ServeOptions {
  readonly localContent: LocalContent
  readonly peerStats: PeerStats
}

/**
 * Sends a peer the content that it asks for, from an offset on. This node has stored the content, or is still receiving
 * it. Rejects with a `Failure` when the content cannot be sent to its end.
 */
export async function serveContent(
  upload: ContentUpload,
  { localContent, peerStats }: ServeOptions,
): Promise<void> {
  const { digest, repository, from } = upload.request
  let sentBytes = 0
  const counting = (content: Content): Content => ({
    digest,
    size: content.size,
    mediaType: content.mediaType,
    readable: (offset, options) => content.readable(offset, options),
    read: async (target, position) => {
      const length = await content.read(target, position)
      sentBytes += length
      return length
    },
    close: () => content.close(),
  })
  const { member, peerName, closed: signal } = upload
  const transfer = {
    direction: 'served' as const,
    digest,
    repository,
    id: member?.id,
    name: member?.name ?? peerName,
    bytes: () => sentBytes,
  }
  await peerStats.record(transfer, async () => {
    const content = await localContent.open({ digest, repository }, { signal })
    if (content === undefined) {
      throw new Failure(
        'absent',
        'this node does not have the content, or does not know it in that repository',
      )
    }
    try {
      const { size } = content
      if (from > size) throw new Failure('unavailable', `the content has only ${size} bytes`)
      await upload.send(counting(content))
    } finally {
      await content.close()
    }
  })
}
