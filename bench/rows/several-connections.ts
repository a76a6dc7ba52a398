import { curl, isCurlInstalled } from '../client/curl.ts'
import type { Context } from '../context.ts'
import { withResources } from '../resources.ts'
import { LimitedRegistry } from '../servers/limited-registry.ts'
import { untilStored } from '../servers/stored.ts'
import { ratios } from '../stats.ts'

const SIZE = 512 * (1 << 20)
const RATE = 20_000_000

/** A large blob from an upstream that limits the rate of each connection. */
export function severalConnections(context: Context): Promise<void> {
  return withResources(async (resources) => {
    if (!isCurlInstalled()) return
    const folder = resources.add(context.folder('data'))
    const content = context.content(folder.path)
    const upstream = resources.add(await LimitedRegistry.start(content, RATE))
    const config = '    connectionsPerBlob: auto\n'
    const leat = await context.agent(`${folder.path}/leat`, upstream.port, config)
    if (leat === undefined) return
    resources.add(leat)
    const direct: number[] = []
    const through: number[] = []
    const sent: number[] = []
    const repetitions = Math.min(context.repetitions, context.quick ? 1 : 3)
    for (let round = 0; round < repetitions; round++) {
      const { digest, size } = await content.blob(SIZE)
      direct.push(await curl(upstream.port, upstream.blobPath(digest), size))
      const before = upstream.sent(digest)
      through.push(await curl(leat.port, leat.blobPath(digest), size))
      if ((await untilStored([leat.storedFile(digest)], 60_000)) === undefined)
        throw new Error('the agent has not stored the blob')
      sent.push((upstream.sent(digest) - before) / size)
    }
    context.report({
      name: 'cold blob of 512 MiB, upstream sends 20 MB/s on each connection',
      figures: [
        { side: 'curl from upstream, one connection', unit: 'MB/s', values: direct },
        { side: 'curl from leat', unit: 'MB/s', values: through },
      ],
      checks: [
        { label: 'leat / upstream', unit: 'x', values: ratios(through, direct), atLeast: 3 },
        { label: 'sent by upstream', unit: 'x', values: sent, atMost: 1.01 },
      ],
      notes: ['connectionsPerBlob: auto'],
    })
  })
}
