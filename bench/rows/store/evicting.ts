import { setTimeout as wait } from 'node:timers/promises'
import { Client } from '../../client/client.ts'
import type { Blob } from '../../content.ts'
import type { Context } from '../../context.ts'
import { withResources } from '../../resources.ts'
import type { Agent } from '../../servers/agent.ts'
import { evict, storeStatus } from '../../servers/agent-admin.ts'
import { NO_SCRUB, startConfiguredAgent } from '../../servers/configured-agent.ts'
import { Nginx } from '../../servers/nginx.ts'
import { Background } from './background.ts'
import { compare, TURN_MS, turnsOf } from './compare.ts'
import { BLOB_BYTES, FilledStore } from './filled-store.ts'
import { type Hits, hits, pull, pullImage } from './hits.ts'

const KIB = 1 << 10
const MIB = 1 << 20
/** How many blobs are evicted at once, and how often. */
const EVICTIONS = { atOnce: 64, everyMs: 50 }
/** How many cold pulls start at once, and how often. */
const COLD = { bytes: 256 * KIB, atOnce: 4, everyMs: 60 }
/** Room for the requested image and about thirty cold blobs, so that every third or fourth cold pull evicts others. */
const TIGHT_BYTES = 10 * MIB

/** The latency of hits while blobs are evicted: without other work, and during the cold pulls that need the room. */
export function whileEvicting(context: Context): Promise<void> {
  return withResources(async (resources) => {
    const client = resources.add(new Client())
    const folder = resources.add(context.folder('evicting'))
    const content = context.content(folder.path)
    const upstream = resources.add(await Nginx.start(`${folder.path}/nginx`, content))
    const agent = (name: string, bytes: number): Promise<Agent> =>
      startConfiguredAgent(context, resources, `${folder.path}/${name}`, upstream.port, {
        ...NO_SCRUB,
        LEAT_MAX_BYTES: String(bytes),
      })
    const steps = Math.ceil(TURN_MS / EVICTIONS.everyMs + 10) * turnsOf(context)
    resources.add(await FilledStore.make(`${folder.path}/full/data`, steps * EVICTIONS.atOnce, 'own'))
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
        { name: 'quiet', measure: (ms) => hits(full, image, ms) },
        {
          name: 'evicting',
          measure: async (ms) => {
            const evictions = new Background(evictAtRate(full, (await storeStatus(full)).bytes))
            return counted(full, BLOB_BYTES, rates.full, () => hits(full, image, ms, evictions))
          },
          against: { name: 'quiet', label: 'evicting / quiet' },
        },
        { name: 'cold pulls', measure: intoRoomy },
        {
          name: 'cold pulls, evicting',
          measure: (ms) => counted(tight, COLD.bytes, rates.tight, () => intoTight(ms)),
          against: { name: 'cold pulls', label: 'pulls, evicting / not' },
        },
      ],
      figures: [
        { side: 'evicted', unit: 'blobs/s', values: rates.full },
        { side: 'evicted, cold pulls', unit: 'blobs/s', values: rates.tight },
      ],
      notes: [
        `${Math.round((COLD.atOnce * 1000) / COLD.everyMs)} cold blobs of ${COLD.bytes / KIB} KiB per second, into a store of ${TIGHT_BYTES / MIB} MiB or into one with room for all`,
      ],
    })
  })
}

/** Measures hits, and adds to `rates` how many blobs of this size were evicted per second meanwhile. */
async function counted(
  agent: Agent,
  bytes: number,
  rates: number[],
  measure: () => Promise<Hits>,
): Promise<Hits> {
  const before = (await storeStatus(agent)).evictedBytes
  const startedAt = performance.now()
  const got = await measure()
  const seconds = (performance.now() - startedAt) / 1000
  const blobs = ((await storeStatus(agent)).evictedBytes - before) / bytes
  if (blobs < 1) throw new Error('nothing was evicted during the measurement')
  rates.push(blobs / seconds)
  return got
}

/** Evicts a few blobs per call, at the rate of `EVICTIONS`. */
function evictAtRate(agent: Agent, bytes: number): () => Promise<void> {
  const startedAt = performance.now()
  let steps = 0
  return async () => {
    steps++
    const blobs = await evict(agent, bytes - steps * EVICTIONS.atOnce * BLOB_BYTES)
    if (blobs !== EVICTIONS.atOnce)
      throw new Error(`${blobs} blobs were evicted instead of ${EVICTIONS.atOnce}`)
    await until(startedAt + steps * EVICTIONS.everyMs)
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
