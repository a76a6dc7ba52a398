import { setTimeout as wait } from 'node:timers/promises'
import { Client } from '../../client/client.ts'
import type { Blob } from '../../content.ts'
import type { Context } from '../../context.ts'
import { owning } from '../../owned.ts'
import type { Agent } from '../../servers/agent.ts'
import { evict, kept } from '../../servers/agent-admin.ts'
import { agentSet, NO_SCRUB } from '../../servers/configured-agent.ts'
import { Nginx } from '../../servers/nginx.ts'
import { Background } from './background.ts'
import { compare, TURN_MS, turnsOf } from './compare.ts'
import { BLOB_BYTES, Filled } from './filled-store.ts'
import { type Hits, hits, pull, pullImage } from './hits.ts'

const KIB = 1 << 10
const MIB = 1 << 20
/** Let go of: so many blobs at once, so often. */
const GOING = { atOnce: 64, everyMs: 50 }
/** Cold pulls: so many at once, so often. */
const COLD = { bytes: 256 * KIB, atOnce: 4, everyMs: 60 }
/** Room for what is asked for and some thirty cold blobs: every third or fourth of them makes others go. */
const TIGHT_BYTES = 10 * MIB

/** How long hits take while blobs are evicted: with nothing else going on, and in the midst of the pulls that make it necessary. */
export function whileEvicting(context: Context): Promise<void> {
  return owning(async (owned) => {
    const client = owned.add(new Client())
    const folder = owned.add(context.folder('evicting'))
    const content = context.content(folder.path)
    const upstream = owned.add(await Nginx.start(`${folder.path}/nginx`, content))
    const agent = (name: string, bytes: number): Promise<Agent> =>
      agentSet(context, owned, `${folder.path}/${name}`, upstream.port, {
        ...NO_SCRUB,
        LEAT_MAX_BYTES: String(bytes),
      })
    const steps = Math.ceil(TURN_MS / GOING.everyMs + 10) * turnsOf(context)
    owned.add(await Filled.make(`${folder.path}/full/data`, steps * GOING.atOnce, 'own'))
    const [full, roomy, tight] = [
      await agent('full', 4096 * MIB),
      await agent('roomy', 4096 * MIB),
      await agent('tight', TIGHT_BYTES),
    ]
    const image = await content.image(1, MIB)
    const first = await content.blobs(TIGHT_BYTES / COLD.bytes, COLD.bytes)
    for (const each of [full, roomy, tight]) await pull(client, each, first)
    for (const each of [full, roomy, tight]) await pullImage(client, each, image)

    const perTurn = Math.ceil(TURN_MS / COLD.everyMs + 10) * COLD.atOnce
    const stock = await content.blobs(perTurn * turnsOf(context), COLD.bytes)
    const pulling = (each: Agent): ((ms: number) => Promise<Hits>) => {
      const left = [...stock]
      return (ms) => hits(each, image, ms, coldPulls(client, each, left.splice(0, perTurn)))
    }
    const [intoRoomy, intoTight] = [pulling(roomy), pulling(tight)]
    const rates = { full: [] as number[], tight: [] as number[] }

    await compare(context, {
      name: 'hits while blobs are evicted',
      states: [
        { name: 'quiet', take: (ms) => hits(full, image, ms) },
        {
          name: 'evicting',
          take: async (ms) => {
            const going = new Background(oneStep(full, (await kept(full)).bytes))
            return counted(full, BLOB_BYTES, rates.full, () => hits(full, image, ms, going))
          },
          against: { name: 'quiet', label: 'evicting / quiet' },
        },
        { name: 'cold pulls', take: intoRoomy },
        {
          name: 'cold pulls, evicting',
          take: (ms) => counted(tight, COLD.bytes, rates.tight, () => intoTight(ms)),
          against: { name: 'cold pulls', label: 'pulls, evicting / not' },
        },
      ],
      figures: [
        { side: 'evicted', unit: 'blobs/s', values: rates.full },
        { side: 'evicted, cold pulls', unit: 'blobs/s', values: rates.tight },
      ],
      notes: [
        `${Math.round((COLD.atOnce * 1000) / COLD.everyMs)} cold blobs of ${COLD.bytes / KIB} KiB per second, into a store of ${TIGHT_BYTES / MIB} MiB or of one that has room for all`,
      ],
    })
  })
}

/** Adds to `rates` how many blobs of so many bytes are evicted per second meanwhile. */
async function counted(
  agent: Agent,
  bytes: number,
  rates: number[],
  measure: () => Promise<Hits>,
): Promise<Hits> {
  const before = (await kept(agent)).evictedBytes
  const startedAt = performance.now()
  const got = await measure()
  const seconds = (performance.now() - startedAt) / 1000
  const blobs = ((await kept(agent)).evictedBytes - before) / bytes
  if (blobs < 1) throw new Error('nothing was evicted while that was measured')
  rates.push(blobs / seconds)
  return got
}

/** Lets go of a few, so that as many go per second as are due. */
function oneStep(agent: Agent, bytes: number): () => Promise<void> {
  const startedAt = performance.now()
  let steps = 0
  return async () => {
    steps++
    const blobs = await evict(agent, bytes - steps * GOING.atOnce * BLOB_BYTES)
    if (blobs !== GOING.atOnce) throw new Error(`${blobs} blobs were evicted instead of ${GOING.atOnce}`)
    await until(startedAt + steps * GOING.everyMs)
  }
}

function coldPulls(client: Client, agent: Agent, blobs: readonly Blob[]): Background {
  const startedAt = performance.now()
  let pulled = 0
  return new Background(async () => {
    await pull(client, agent, blobs.slice(pulled, pulled + COLD.atOnce))
    pulled += COLD.atOnce
    await until(startedAt + (pulled / COLD.atOnce) * COLD.everyMs)
  })
}

async function until(time: number): Promise<void> {
  await wait(Math.max(0, time - performance.now()))
}
