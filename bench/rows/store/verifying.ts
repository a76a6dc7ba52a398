import { Client } from '../../client/client.ts'
import type { Context } from '../../context.ts'
import { owning } from '../../owned.ts'
import { verifying } from '../../servers/agent-admin.ts'
import { agentSet, NO_SCRUB } from '../../servers/configured-agent.ts'
import { Nginx } from '../../servers/nginx.ts'
import { compare } from './compare.ts'
import { hits, pull, pullImage } from './hits.ts'

const MIB = 1 << 20
/** What an agent re-hashes by itself per second while nobody pulls, if nothing else is set. */
const IDLE_RATE = 16 * MIB

/** How long hits take while what is stored is read and hashed again. */
export function whileVerifying(context: Context): Promise<void> {
  return owning(async (owned) => {
    const client = owned.add(new Client())
    const folder = owned.add(context.folder('verifying'))
    const content = context.content(folder.path)
    const upstream = owned.add(await Nginx.start(`${folder.path}/nginx`, content))
    const agent = await agentSet(context, owned, `${folder.path}/leat`, upstream.port, NO_SCRUB)
    const image = await content.image(1, MIB)
    await pullImage(client, agent, image)
    await pull(client, agent, await content.blobs(4, 64 * MIB))
    await pull(client, agent, await content.blobs(40, MIB / 4))

    await compare(context, {
      name: 'hits while everything stored is verified',
      states: [
        { name: 'quiet', take: (ms) => hits(agent, image, ms) },
        {
          name: 'at 16 MiB/s',
          take: (ms) => hits(agent, image, ms, verifying(agent, IDLE_RATE)),
          against: { name: 'quiet', label: '16 MiB/s / quiet' },
        },
        {
          name: 'at full speed',
          take: (ms) => hits(agent, image, ms, verifying(agent)),
          against: { name: 'quiet', label: 'full speed / quiet' },
        },
      ],
      notes: ['16 MiB/s is what an agent reads by itself while nobody pulls'],
    })
  })
}
