import { Client } from '../../client/client.ts'
import { now } from '../../client/jobs.ts'
import type { Context } from '../../context.ts'
import { type Resources, withResources } from '../../resources.ts'
import type { Agent } from '../../servers/agent.ts'
import { storeStatus } from '../../servers/agent-admin.ts'
import { NO_SCRUB, startConfiguredAgent } from '../../servers/configured-agent.ts'
import { Nginx } from '../../servers/nginx.ts'
import { BLOB_BYTES, digestOf, FilledStore } from './filled-store.ts'

const MIB = 1 << 20
const BLOBS = 100_000
/** A repository that upstream serves at 256 KiB/s, so that its blobs are partial when the agent is killed. */
const SLOW_REPOSITORY = 'slow/image'

/** How much longer a start takes with many stored blobs. */
export function startWithBlobs(context: Context): Promise<void> {
  return withResources(async (resources) => {
    const client = resources.add(new Client())
    const folder = resources.add(context.folder('start'))
    const content = context.content(folder.path)
    const upstream = resources.add(await Nginx.start(`${folder.path}/nginx`, content))
    const empty = `${folder.path}/empty`
    const full = `${folder.path}/full`
    resources.add(await FilledStore.make(`${full}/data`, BLOBS, 'own'))

    const started = async (where: string, stays: Resources): Promise<{ agent: Agent; ms: number }> => {
      const startedAt = now()
      const agent = await startConfiguredAgent(context, stays, where, upstream.port, NO_SCRUB)
      return { agent, ms: now() - startedAt }
    }
    const assertServes = async (agent: Agent): Promise<void> => {
      const { blobs } = await storeStatus(agent)
      if (blobs < BLOBS) throw new Error(`the agent has ${blobs} blobs of ${BLOBS}`)
      const path = agent.blobPath(digestOf(Math.floor(Math.random() * BLOBS)))
      const [got] = await client.download([{ port: agent.port, path }])
      if (got?.bytes !== BLOB_BYTES)
        throw new Error(`the agent does not serve ${path}: ${JSON.stringify(got)}`)
    }
    /** Kills the agent during pulls, with some blobs just stored and some partial. */
    const killDuringPulls = async (agent: Agent): Promise<void> => {
      const quick = await content.blobs(16, 64 << 10)
      const slow = await content.blobs(4, MIB)
      const paths = slow.map((blob) => agent.blobPath(blob.digest, SLOW_REPOSITORY))
      await client.download(paths.map((path) => ({ port: agent.port, path, leaveAfter: 64 << 10 })))
      await client.download(quick.map(({ digest }) => ({ port: agent.port, path: agent.blobPath(digest) })))
      agent.program.kill()
      await agent.program.stop()
    }

    const times = { empty: [] as number[], clean: [] as number[], unclean: [] as number[] }
    const rounds = Math.min(context.repetitions, 4)
    for (let round = -1; round < rounds; round++) {
      const nothing = await withResources(async (stays) => (await started(empty, stays)).ms)
      const clean = await withResources(async (stays) => {
        const { agent, ms } = await started(full, stays)
        await assertServes(agent)
        await killDuringPulls(agent)
        return ms
      })
      const unclean = await withResources(async (stays) => {
        const { agent, ms } = await started(full, stays)
        await assertServes(agent)
        return ms
      })
      // The first round creates the folder and loads the program from the disk, and is not counted.
      if (round < 0) continue
      times.empty.push(nothing)
      times.clean.push(clean)
      times.unclean.push(unclean)
    }
    const added = (all: readonly number[]): number[] =>
      all.map((ms, at) => (ms - (times.empty[at] ?? Number.NaN)) / 1000)
    const count = BLOBS.toLocaleString('en-US')
    context.report({
      name: `start with ${count} blobs, from the start of the process until it is ready`,
      figures: [
        { side: 'nothing stored', unit: 's', values: times.empty.map((ms) => ms / 1000) },
        { side: `${count} blobs`, unit: 's', values: times.clean.map((ms) => ms / 1000) },
        { side: 'the same after kill -9', unit: 's', values: times.unclean.map((ms) => ms / 1000) },
      ],
      checks: [
        { label: 'added by the blobs', unit: 's', values: added(times.clean), atMost: 2 },
        { label: 'added after kill -9', unit: 's', values: added(times.unclean), atMost: 2 },
      ],
      notes: [
        'files and index were written at once, in the order of their keys',
        'killed with 16 blobs just stored and 4 partial',
      ],
    })
  })
}
