import { setTimeout as wait } from 'node:timers/promises'
import { openStore } from '../../../src/store/open.ts'
import type { Store } from '../../../src/store/store.ts'
import { Client } from '../../client/client.ts'
import { now } from '../../client/jobs.ts'
import { Context } from '../../context.ts'
import { withResources } from '../../resources.ts'
import type { Agent } from '../../servers/agent.ts'
import { storeStatus } from '../../servers/agent-admin.ts'
import { NO_SCRUB, startConfiguredAgent } from '../../servers/configured-agent.ts'
import { Nginx } from '../../servers/nginx.ts'
import { median, percentile } from '../../stats.ts'
import { BLOB_BYTES, digestOf, FilledStore } from './filled-store.ts'

const MIB = 1 << 20
const FEW = 10_000
const LOOKUPS = 20_000
const REQUESTS = 20_000
const STEPS = 200
/** How many blobs an eviction removes in one step. */
const PER_STEP = 32

/** The cost of an index with very many entries. */
export function entries(context: Context): Promise<void> {
  return withResources(async (resources) => {
    const client = resources.add(new Client())
    const folder = resources.add(context.folder('entries'))
    const content = context.content(folder.path)
    const upstream = resources.add(await Nginx.start(`${folder.path}/nginx`, content))
    const many = context.quick ? 250_000 : 1_000_000
    // The memory of these agents has figures of its own, and is no part of the peak of ordinary agents.
    const separate = new Context(context.group, context.settings, [], () => {})
    const sides: IndexSize[] = []
    for (const count of [FEW, many]) {
      const where = `${folder.path}/${count}`
      const filled = resources.add(await FilledStore.make(`${where}/data`, count, 'shared'))
      const memory = await withResources(async (stays) => {
        const startedAt = now()
        const agent = await startConfiguredAgent(separate, stays, where, upstream.port, NO_SCRUB)
        return { startMs: now() - startedAt, ...(await residentIn(agent, count, client)) }
      })
      const times = await timesIn(`${where}/data`, count)
      sides.push({ count, ...memory, ...times })
      await filled.stop()
    }
    report(context, sides)
  })
}

interface Resident {
  readonly atRest: number
  readonly ownAtRest: number
  readonly afterRequests: number
  readonly ownAfterRequests: number
  readonly atMost: number
}

interface Times {
  readonly lookups: readonly number[]
  readonly steps: readonly number[]
}

interface IndexSize extends Resident, Times {
  readonly count: number
  readonly startMs: number
}

async function residentIn(agent: Agent, count: number, client: Client): Promise<Resident> {
  const { blobs } = await storeStatus(agent)
  if (blobs !== count) throw new Error(`the agent has ${blobs} blobs instead of ${count}`)
  await wait(2000)
  const { program } = agent
  const [atRest, ownAtRest] = [program.rss(), program.ownRss()]
  const requests = Array.from({ length: REQUESTS }, () => ({ path: agent.blobPath(anyOf(count)) }))
  const until = { requests: REQUESTS }
  const got = await client.load({ port: agent.port, requests, connections: 8, protocol: 'http/1.1', until })
  if (got.failed > 0) throw new Error(`${got.failed} of ${got.requests} requests failed`)
  const [afterRequests, ownAfterRequests] = [program.rss(), program.ownRss()]
  return { atRest, ownAtRest, afterRequests, ownAfterRequests, atMost: program.peakRss() }
}

/** Measures the store in this process, without HTTP. */
async function timesIn(path: string, count: number): Promise<Times> {
  const store = await openStore({ path })
  try {
    await store.recovered
    const lookups = await lookedUp(store, count)
    // Random uses change the eviction order, which was sequential.
    for (let at = 0; at < LOOKUPS; at++) store.blobs.touch(anyOf(count))
    return { lookups, steps: await evicted(store) }
  } finally {
    await store.close()
  }
}

async function lookedUp(store: Store, count: number): Promise<number[]> {
  const times: number[] = []
  for (let at = 0; at < LOOKUPS; at++) {
    const digest = anyOf(count)
    const startedAt = now()
    const facts = await store.blobs.facts(digest)
    times.push(now() - startedAt)
    if (facts?.size !== BLOB_BYTES) throw new Error(`the store does not know ${digest}`)
  }
  return times
}

async function evicted(store: Store): Promise<number[]> {
  const times: number[] = []
  for (let at = 0; at < STEPS; at++) {
    const toBytes = store.usage().bytes - PER_STEP * BLOB_BYTES
    const startedAt = now()
    const { blobs } = await store.gc({ toBytes, signal: AbortSignal.timeout(10_000) })
    times.push(now() - startedAt)
    if (blobs !== PER_STEP) throw new Error(`${blobs} blobs were evicted instead of ${PER_STEP}`)
  }
  return times
}

function anyOf(count: number): ReturnType<typeof digestOf> {
  return digestOf(Math.floor(Math.random() * count))
}

function report(context: Context, sides: readonly IndexSize[]): void {
  const [few, many] = sides
  if (few === undefined || many === undefined) return
  const name = (side: IndexSize): string => side.count.toLocaleString('en-US')
  const added = (of: (side: IndexSize) => number): number[] => [(of(many) - of(few)) / MIB]
  context.report({
    name: `index of ${name(many)} entries: resident memory of the agent`,
    figures: sides.flatMap((side) => [
      { side: `${name(side)}, at rest`, unit: 'MiB', values: [side.atRest / MIB] },
      {
        side: `${name(side)}, ${REQUESTS} random hits later`,
        unit: 'MiB',
        values: [side.afterRequests / MIB],
      },
      { side: `${name(side)}, at most`, unit: 'MiB', values: [side.atMost / MIB] },
      { side: `${name(side)}, start`, unit: 's', values: [side.startMs / 1000] },
    ]),
    checks: [
      { label: 'added at rest', unit: 'MiB', values: added(({ atRest }) => atRest) },
      { label: 'of that without mapped files', unit: 'MiB', values: added(({ ownAtRest }) => ownAtRest) },
      { label: 'added after the hits', unit: 'MiB', values: added(({ afterRequests }) => afterRequests) },
      {
        label: 'of that without mapped files',
        unit: 'MiB',
        values: added(({ ownAfterRequests }) => ownAfterRequests),
      },
    ],
    notes: [
      'LevelDB maps the files of the index into memory, which the kernel can reclaim on a disk',
      'the blobs of a folder are links to one file, because a start reads only names',
    ],
  })
  const figures = (
    of: (side: IndexSize) => readonly number[],
  ): { side: string; unit: string; values: number[] }[] =>
    sides.flatMap((side) =>
      [50, 99].map((percent) => ({
        side: `${name(side)} entries, ${percent === 50 ? 'median' : '99th percentile'}`,
        unit: 'ms',
        values: [percentile(of(side), percent)],
      })),
    )
  const ratio = (of: (side: IndexSize) => readonly number[]): number[] => [median(of(many)) / median(of(few))]
  context.report({
    name: `index of ${name(many)} entries: lookup of a blob, ${LOOKUPS} random digests`,
    figures: figures(({ lookups }) => lookups),
    checks: [
      { label: `${name(many)} / ${name(few)}, median`, unit: 'x', values: ratio(({ lookups }) => lookups) },
    ],
    notes: ['one after the other, in the process of the bench, without HTTP'],
  })
  context.report({
    name: `index of ${name(many)} entries: one step of an eviction, ${PER_STEP} blobs, ${STEPS} times`,
    figures: figures(({ steps }) => steps),
    checks: [
      { label: `${name(many)} / ${name(few)}, median`, unit: 'x', values: ratio(({ steps }) => steps) },
    ],
    notes: [`after ${LOOKUPS} random blobs were used`],
  })
}
