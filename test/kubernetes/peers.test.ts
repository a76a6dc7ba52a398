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

async function knowsPeers(node: ClusterNode): Promise<true | undefined> {
  return (await agentMetric(node, 'leat_peers_connected')) >= 1 ? true : undefined
}

test('the second node takes an image from its peer, and no byte of it from the registry', async (t) => {
  const cluster = await Cluster.start(t)
  if (cluster === undefined) return
  const one = await cluster.addNode('one', { zone: 'a' })
  const two = await cluster.addNode('two', { zone: 'b' })
  await cluster.registry.push('app', '1', await cluster.podImage('app', LAYERS))
  const release = await Release.prepare(cluster)
  await release.install()
  for (const node of [one, two]) await until(`${node.name} knows a peer`, () => knowsPeers(node))

  await runPod(cluster, 'first', 'registry.test/app:1', { node: 'one' })
  assert.ok((await agentMetric(one, 'leat_fetched_bytes_total', 'source="upstream"')) >= SIZE)
  const before = await agentMetric(two, 'leat_fetched_bytes_total', 'source="upstream"')
  await runPod(cluster, 'second', 'registry.test/app:1', { node: 'two' })
  assert.ok((await agentMetric(two, 'leat_fetched_bytes_total', 'source="peer"')) >= SIZE)
  assert.equal(await agentMetric(two, 'leat_fetched_bytes_total', 'source="upstream"'), before)
  const asked = cluster.registry.requests('app').filter(({ client }) => client === two.machine.address)
  assert.deepEqual(
    asked.filter(({ method }) => method === 'GET'),
    [],
  )
})
