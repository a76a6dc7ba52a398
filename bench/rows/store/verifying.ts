import { Client } from '../../client/client.ts'
import type { Context } from '../../context.ts'
import { withResources } from '../../resources.ts'
import { verifying } from '../../servers/agent-admin.ts'
import { NO_SCRUB, startConfiguredAgent } from '../../servers/configured-agent.ts'
import { Nginx } from '../../servers/nginx.ts'
import { compare } from './compare.ts'
import { hits, pull, pullImage } from './hits.ts'

const MIB = 1 << 20
/** The default rate at which an idle agent hashes its store again. */
const IDLE_RATE = 16 * MIB

/** The latency of hits while stored blobs are hashed again. */
export function whileVerifying(context: Context): Promise<void> {
  return withResources(async (resources) => {
    const client = resources.add(new Client())
    const folder = resources.add(context.folder('verifying'))
    const content = context.content(folder.path)
    const upstream = resources.add(await Nginx.start(`${folder.path}/nginx`, content))
    const agent = await startConfiguredAgent(
      context,
      resources,
      `${folder.path}/leat`,
      upstream.port,
      NO_SCRUB,
    )
    const image = await content.image(1, MIB)
    await pullImage(client, agent, image)
    await pull(client, agent, await content.blobs(4, 64 * MIB))
    await pull(client, agent, await content.blobs(40, MIB / 4))

    await compare(context, {
      name: 'hits while the store is verified',
      states: [
        { name: 'quiet', measure: (ms) => hits(agent, image, ms) },
        {
          name: 'at 16 MiB/s',
          measure: (ms) => hits(agent, image, ms, verifying(agent, IDLE_RATE)),
          against: { name: 'quiet', label: '16 MiB/s / quiet' },
        },
        {
          name: 'at full speed',
          measure: (ms) => hits(agent, image, ms, verifying(agent)),
          against: { name: 'quiet', label: 'full speed / quiet' },
        },
      ],
      notes: ['16 MiB/s is the rate of an idle agent'],
    })
  })
}
