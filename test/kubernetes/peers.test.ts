import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agentMetric } from './lab/agent-metrics.ts'
import { Cluster } from './lab/cluster.ts'
import { until } from './lab/kubectl.ts'
import type { ClusterNode } from './lab/node.ts'
import { runPod } from './lab/pods.ts'
import { Release } from './lab/release.ts'

const MIB = 1 << 20
const LAYERS = [16 * MIB, 16 * MIB, 16 * MIB]
const SIZE = 48 * MIB
/** When the processors stall for seconds, a live node is taken for dead, and the other one asks the registry. */
const ATTEMPTS = 4

async function knowsPeers(node: ClusterNode): Promise<true | undefined> {
  return (await agentMetric(node, 'leat_peers_connected')) >= 1 ? true : undefined
}

/** The bytes that all nodes have from a kind of source. Which of the nodes asks the registry depends on the digest. */
async function fetched(nodes: readonly ClusterNode[], source: 'peer' | 'upstream'): Promise<number> {
  const label = `source="${source}"`
  const bytes = await Promise.all(nodes.map((node) => agentMetric(node, 'leat_fetched_bytes_total', label)))
  return bytes.reduce((sum, one) => sum + one, 0)
}

test('the second node takes an image from its peer, and no byte of it from the registry', async (t) => {
  const cluster = await Cluster.start(t)
  if (cluster === undefined) return
  await cluster.addNode('one', { zone: 'a' })
  await cluster.addNode('two', { zone: 'b' })
  const release = await Release.prepare(cluster)
  await release.install()
  for (const node of cluster.nodes) await until(`${node.name} knows a peer`, () => knowsPeers(node))

  for (let attempt = 1; ; attempt += 1) {
    const repository = `app-${attempt}`
    await cluster.registry.push(repository, '1', await cluster.podImage(repository, LAYERS))
    const [upstream, peers] = [await fetched(cluster.nodes, 'upstream'), await fetched(cluster.nodes, 'peer')]
    await runPod(cluster, `first-${attempt}`, `registry.test/${repository}:1`, { node: 'one' })
    const upstreamOnce = await fetched(cluster.nodes, 'upstream')
    assert.ok(upstreamOnce - upstream >= SIZE, 'the registry has given the image')
    await runPod(cluster, `second-${attempt}`, `registry.test/${repository}:1`, { node: 'two' })
    const more = (await fetched(cluster.nodes, 'upstream')) - upstreamOnce
    const shared = (await fetched(cluster.nodes, 'peer')) - peers
    if (more === 0 && upstreamOnce - upstream < 2 * SIZE && shared >= SIZE) return
    const last = `in the last, ${more} bytes came again from the registry, and ${shared} from peers`
    assert.ok(attempt < ATTEMPTS, `in none of ${ATTEMPTS} attempts; ${last}`)
  }
})
