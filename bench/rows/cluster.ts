import { availableParallelism } from 'node:os'
import { Lab } from '../../testkit/lab/lab.ts'
import { namespacesRefused } from '../../testkit/lab/namespaces.ts'
import type { Context } from '../context.ts'
import { owning } from '../owned.ts'
import { findProgram } from '../program.ts'
import { killed } from './cluster/lab/killed-nodes.ts'
import { late } from './cluster/lab/late-nodes.ts'
import { links } from './cluster/lab/link-rate.ts'
import type { Cluster } from './cluster/lab/measured-pulls.ts'
import { together } from './cluster/lab/nodes-at-once.ts'
import { manifests } from './cluster/lab/peer-manifest.ts'
import { rolling } from './cluster/lab/staggered-nodes.ts'
import { apart } from './cluster/lab/uneven-network.ts'
import { members } from './cluster/membership/members.ts'
import { transfer } from './cluster/peer-transfer.ts'
import { rollout } from './cluster/rollout/rollout.ts'

const NODES = 16
const MBIT = 1e6
const LINK = 64 * MBIT
/** What all nodes take in at once at the speed of a link keeps so many cores busy. */
const CORES_FOR_ALL = 8

/** What agents are to each other: two of them, very many of them, and a cluster in namespaces of this machine. */
export async function cluster(context: Context): Promise<void> {
  if (context.settings.agentEntry === undefined) {
    context.report({ name: 'peers', figures: [], checks: [], notes: ['only the agent is measured'] })
    return
  }
  await transfer(context)
  await members(context)
  const missing = whatIsMissing()
  if (missing !== undefined) {
    context.report({ name: `${NODES} nodes`, figures: [], checks: [], notes: [missing] })
    return
  }
  await links(context)
  await inNamespaces(context, context.settings.agentEntry)
  await apart(context, context.settings.agentEntry, LINK / 4)
  await rollout(context, context.settings.agentEntry)
}

/** Many nodes that want the same image, each with a link of its own. */
function inNamespaces(context: Context, entry: string): Promise<void> {
  return owning(async (owned) => {
    const folder = owned.add(context.folder('lab'))
    const lab = await Lab.open({
      nodes: NODES,
      entry,
      folder: `${folder.path}/lab`,
      rate: LINK,
      peers: true,
      flags: ['--log-level', 'warn', '--max-bytes', '256MiB'],
    })
    owned.add({ stop: () => lab.close() })
    const slow = LINK * Math.min(1, availableParallelism() / CORES_FOR_ALL)
    const run: Cluster = { context, lab, link: LINK, slowLink: slow }

    await together(run, { link: LINK, upstream: LINK / 4, atMost: 1.15 })
    const undisturbed = await together(run, { link: slow, upstream: slow, atMost: 1.4 })
    await rolling(run)
    await late(run)
    await manifests(run)
    await killed(run, undisturbed)
  })
}

function whatIsMissing(): string | undefined {
  if (findProgram('ip') === undefined || findProgram('tc') === undefined) {
    return 'missing: ip and tc (Debian package iproute2)'
  }
  const refused = namespacesRefused()
  return refused === undefined
    ? undefined
    : `missing: the right to make network namespaces (root has it): ${refused}`
}
