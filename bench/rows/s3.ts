import { Client } from '../client/client.ts'
import { curlRanges } from '../client/curl.ts'
import type { Blob } from '../content.ts'
import type { Context } from '../context.ts'
import { withResources } from '../resources.ts'
import type { Agent } from '../servers/agent.ts'
import { Nginx } from '../servers/nginx.ts'
import { untilStored } from '../servers/stored.ts'
import { Versitygw } from '../servers/versitygw.ts'
import { ratios } from '../stats.ts'

const MIB = 1 << 20
const SIZE = 256 * MIB
/** The plain client reads by so many ranges at once, and the best of them counts. */
const RANGES = [1, 2, 4, 8] as const

/** An object store before upstream: how fast a blob comes through the agent, and what the tier costs in memory. */
export function s3(context: Context): Promise<void> {
  const name = 'blob of 256 MiB from a bucket, client reads it all'
  return withResources(async (resources) => {
    const client = resources.add(new Client())
    const folder = resources.add(context.folder('data'))
    const content = context.content(folder.path)
    const bucket = await Versitygw.start(`${folder.path}/versitygw`)
    const upstream = resources.add(await Nginx.start(`${folder.path}/nginx`, content))
    if (bucket !== undefined) resources.add(bucket)
    const tiered = bucket && (await context.agent(`${folder.path}/leat`, upstream.port, bucket.settings))
    if (tiered !== undefined) resources.add(tiered)
    const plain = await context.agent(`${folder.path}/plain`, upstream.port)
    if (plain !== undefined) resources.add(plain)
    if (bucket === undefined || tiered === undefined || plain === undefined) {
      const notes = [bucket === undefined ? 'versitygw is not installed' : 'only the agent is measured']
      return context.report({ name, figures: [], checks: [], notes })
    }
    const best: number[] = []
    const leat: number[] = []
    const chosen: number[] = []
    for (let round = -1; round < Math.min(context.repetitions, 5); round++) {
      const blob = await content.blob(SIZE)
      bucket.add(blob)
      const rates: number[] = []
      for (const count of RANGES) rates.push(await curlRanges(bucket.curlArgs(blob), SIZE, count))
      const rate = await pull(client, tiered, blob)
      if ((await upstream.sent(blob.digest)).bytes > 0) throw new Error('upstream has sent bytes of the blob')
      await pull(client, plain, blob)
      if (round >= 0) {
        best.push(Math.max(...rates))
        leat.push(rate)
        chosen.push(RANGES[rates.indexOf(Math.max(...rates))] ?? 0)
      }
      bucket.remove(blob)
      content.drop(blob)
    }
    context.report({
      name,
      figures: [
        {
          side: 'curl, the best of 1 to 8 ranges',
          unit: 'MB/s',
          values: best,
          note: `${chosen.join(', ')} ranges`,
        },
        { side: 'leat', unit: 'MB/s', values: leat },
      ],
      checks: [{ label: 'leat / curl', unit: 'x', values: ratios(leat, best), atLeast: 0.8 }],
      notes: [],
    })
    const [without = 0, tierRss = 0] = [plain, tiered].map(({ program }) => program.peakRss() / MIB)
    context.report({
      name: 'memory with a bucket, after the same pulls',
      figures: [
        { side: 'without', unit: 'MiB', values: [without] },
        { side: 'with', unit: 'MiB', values: [tierRss] },
      ],
      checks: [{ label: 'more at most', unit: 'MiB', values: [tierRss - without], atMost: 10 }],
      notes: [],
    })
  })
}

/** The MB/s until the client has all of the blob. */
async function pull(client: Client, agent: Agent, blob: Blob): Promise<number> {
  const [got] = await client.download([{ port: agent.port, path: agent.blobPath(blob.digest) }])
  if (got?.status !== 200 || !got.isWhole) throw new Error(`the blob was not sent: ${JSON.stringify(got)}`)
  if ((await untilStored([agent.storedFile(blob.digest)], 20_000)) === undefined)
    throw new Error('the agent has not stored the blob')
  return blob.size / 1000 / (got.endedAt - got.startedAt)
}
