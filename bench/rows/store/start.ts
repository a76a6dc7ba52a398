import { Client } from '../../client/client.ts'
import { now } from '../../client/jobs.ts'
import type { Context } from '../../context.ts'
import { type Owned, owning } from '../../owned.ts'
import type { Agent } from '../../servers/agent.ts'
import { kept } from '../../servers/agent-admin.ts'
import { agentSet, NO_SCRUB } from '../../servers/configured-agent.ts'
import { Nginx } from '../../servers/nginx.ts'
import { BLOB_BYTES, digestOf, Filled } from './filled-store.ts'

const MIB = 1 << 20
const BLOBS = 100_000
/** A repository that the upstream serves at 256 KiB/s: its blobs are on their way when the agent is killed. */
const SLOW = 'slow/image'

/** How much longer a start takes because much is stored. */
export function start(context: Context): Promise<void> {
  return owning(async (owned) => {
    const client = owned.add(new Client())
    const folder = owned.add(context.folder('start'))
    const content = context.content(folder.path)
    const upstream = owned.add(await Nginx.start(`${folder.path}/nginx`, content))
    const empty = `${folder.path}/empty`
    const full = `${folder.path}/full`
    owned.add(await Filled.make(`${full}/data`, BLOBS, 'own'))

    const started = async (where: string, stays: Owned): Promise<{ agent: Agent; ms: number }> => {
      const startedAt = now()
      const agent = await agentSet(context, stays, where, upstream.port, NO_SCRUB)
      return { agent, ms: now() - startedAt }
    }
    const isWhole = async (agent: Agent): Promise<void> => {
      const { blobs } = await kept(agent)
      if (blobs < BLOBS) throw new Error(`the agent has ${blobs} blobs of ${BLOBS}`)
      const path = agent.blobPath(digestOf(Math.floor(Math.random() * BLOBS)))
      const [got] = await client.download([{ port: agent.port, path }])
      if (got?.bytes !== BLOB_BYTES)
        throw new Error(`the agent does not serve ${path}: ${JSON.stringify(got)}`)
    }
    /** In the middle of pulls, some just stored and some half here. */
    const killed = async (agent: Agent): Promise<void> => {
      const quick = await content.blobs(16, 64 << 10)
      const slow = await content.blobs(4, MIB)
      const paths = slow.map((blob) => agent.blobPath(blob.digest, SLOW))
      await client.download(paths.map((path) => ({ port: agent.port, path, leaveAfter: 64 << 10 })))
      await client.download(quick.map(({ digest }) => ({ port: agent.port, path: agent.blobPath(digest) })))
      agent.program.kill()
      await agent.program.stop()
    }

    const times = { empty: [] as number[], clean: [] as number[], unclean: [] as number[] }
    const rounds = Math.min(context.repetitions, 4)
    for (let round = -1; round < rounds; round++) {
      const nothing = await owning(async (stays) => (await started(empty, stays)).ms)
      const clean = await owning(async (stays) => {
        const { agent, ms } = await started(full, stays)
        await isWhole(agent)
        await killed(agent)
        return ms
      })
      const unclean = await owning(async (stays) => {
        const { agent, ms } = await started(full, stays)
        await isWhole(agent)
        return ms
      })
      // The first one makes the folder, and finds nothing of the program in memory.
      if (round < 0) continue
      times.empty.push(nothing)
      times.clean.push(clean)
      times.unclean.push(unclean)
    }
    const added = (all: readonly number[]): number[] =>
      all.map((ms, at) => (ms - (times.empty[at] ?? Number.NaN)) / 1000)
    const count = BLOBS.toLocaleString('en-US')
    context.report({
      name: `start with ${count} blobs, from the start of the process until it says it is ready`,
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
        'killed with 16 blobs just stored and 4 half here',
      ],
    })
  })
}
