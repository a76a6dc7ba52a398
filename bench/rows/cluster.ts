import { availableParallelism } from 'node:os'
import { Lab } from '../../testkit/lab/lab.ts'
import { missingNamespaceRight } from '../../testkit/lab/namespaces.ts'
import type { Context } from '../context.ts'
import { findProgram } from '../program.ts'
import { withResources } from '../resources.ts'
import { killedNodes } from './cluster/lab/killed-nodes.ts'
import { lateNodes } from './cluster/lab/late-nodes.ts'
import { linkRate } from './cluster/lab/link-rate.ts'
import type { MeasuredCluster } from './cluster/lab/measured-pulls.ts'
import { nodesAtOnce } from './cluster/lab/nodes-at-once.ts'
import { peerManifest } from './cluster/lab/peer-manifest.ts'
import { slowBytes } from './cluster/lab/slow-bytes.ts'
import { staggeredNodes } from './cluster/lab/staggered-nodes.ts'
import { unevenNetwork } from './cluster/lab/uneven-network.ts'
import { membership } from './cluster/membership/members.ts'
import { rollout } from './cluster/rollout/rollout.ts'

const NODES = 16
const MBIT = 1e6
const LINK = 64 * MBIT
/** How many cores are busy when all nodes receive at the rate of their links. */
const CORES_FOR_ALL = 8

/** Many agents as peers: very many simulated members, and a cluster in network namespaces of this machine. */
export async function cluster(context: Context): Promise<void> {
  if (context.settings.agentEntry === undefined) {
    context.report({ name: 'peers', figures: [], checks: [], notes: ['only the agent is measured'] })
    return
  }
  await membership(context)
  const missing = missingRequirement()
  if (missing !== undefined) {
    context.report({ name: `${NODES} nodes`, figures: [], checks: [], notes: [missing] })
    return
  }
  await linkRate(context)
  await slowBytes(context, context.settings.agentEntry)
  await manyNodes(context, context.settings.agentEntry)
  await unevenNetwork(context, context.settings.agentEntry, LINK / 4)
  await rollout(context, context.settings.agentEntry)
}

/** Many nodes pull the same images, each over a link of its own. */
function manyNodes(context: Context, entry: string): Promise<void> {
  return withResources(async (resources) => {
    const folder = resources.add(context.folder('lab'))
    const lab = await Lab.open({
      nodes: NODES,
      entry,
      folder: `${folder.path}/lab`,
      rate: LINK,
      peers: true,
      flags: ['--log-level', 'warn', '--max-bytes', '256MiB'],
    })
    resources.add({ stop: () => lab.close() })
    const slow = LINK * Math.min(1, availableParallelism() / CORES_FOR_ALL)
    const run: MeasuredCluster = { context, lab, link: LINK, slowLink: slow }

    await nodesAtOnce(run, { link: LINK, upstream: LINK / 4, atMost: 1.15 })
    const undisturbed = await nodesAtOnce(run, { link: slow, upstream: slow, atMost: 1.4 })
    await staggeredNodes(run)
    await lateNodes(run)
    await peerManifest(run)
    await killedNodes(run, undisturbed)
  })
}

function missingRequirement(): string | undefined {
  if (findProgram('ip') === undefined || findProgram('tc') === undefined) {
    return 'missing: ip and tc (Debian package iproute2)'
  }
  const missing = missingNamespaceRight()
  return missing === undefined
    ? undefined
    : `missing: the right to make network namespaces (root has it): ${missing}`
}
