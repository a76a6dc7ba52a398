import type { Content } from '../../ports/content.ts'
import { Failure } from '../../ports/failure.ts'
import type { LocalContent } from '../../ports/local-content.ts'
import type { PeerExchange } from '../wire/exchange.ts'
import type { PeerRequest } from '../wire/messages.ts'
import type { Roster } from './peer-stats.ts'

export interface Giving {
  readonly holdings: LocalContent
  readonly roster: Roster
}

/** Gives a peer what it wants to take, from an offset on, as it is here or comes under that name. Throws a `Failure` where it stops. */
export async function serve(
  { digest, repository, from }: PeerRequest & { ask: 'take' },
  line: PeerExchange,
  { holdings, roster }: Giving,
): Promise<void> {
  let given = 0
  const counted = (content: Content): Content => ({
    digest,
    size: content.size,
    mediaType: content.mediaType,
    readable: (offset, options) => content.readable(offset, options),
    read: async (target, position) => {
      const length = await content.read(target, position)
      given += length
      return length
    },
    close: () => content.close(),
  })
  const { member, peerName: who } = line
  const dealing = { digest, id: member?.id, name: member?.name ?? who, bytes: () => given }
  await roster.deal('served', dealing, async () => {
    const content = await holdings.open({ digest, repository }, { signal: line.closed })
    if (content === undefined)
      throw new Failure('absent', 'it is not here, or not known to be in that repository')
    try {
      const { size, mediaType } = content
      if (from > size) throw new Failure('unavailable', `it has ${size} bytes`)
      line.send({ is: 'content', size, mediaType: mediaType ?? null })
      await line.sendContent(counted(content), from, { signal: line.closed })
    } finally {
      await content.close()
    }
  })
}
