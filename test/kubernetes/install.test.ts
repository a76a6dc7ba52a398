import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agentMetric } from './lab/agent-metrics.ts'
import { Cluster } from './lab/cluster.ts'
import { until } from './lab/kubectl.ts'
import { runPod } from './lab/pods.ts'
import { Release } from './lab/release.ts'
import { settingsOf } from './lab/settings-of.ts'

const MIB = 1 << 20

test('the chart installs an agent through which pods pull, and its uninstall restores the node byte for byte', async (t) => {
  const cluster = await Cluster.start(t)
  if (cluster === undefined) return
  const node = await cluster.addNode('one')
  await cluster.registry.push('app', '1', await cluster.podImage('app', [MIB, MIB]))
  const before = await settingsOf(node.writtenSettings)
  const release = await Release.prepare(cluster)
  await release.install()
  assert.notDeepEqual(await settingsOf(node.writtenSettings), before)

  await runPod(cluster, 'first', 'registry.test/app:1')
  const requests = await until('a request of the pull', () => {
    const seen = cluster.registry.requests('app')
    return seen.length > 0 ? seen : undefined
  })
  assert.deepEqual(
    requests.filter(({ agent }) => !agent.startsWith('leat/')),
    [],
    'only the agent has asked the registry',
  )
  assert.ok((await agentMetric(node, 'leat_served_bytes_total')) > 2 * MIB)

  await release.test()
  await release.uninstall()
  assert.deepEqual(await settingsOf(node.writtenSettings), before)
  await cluster.kubectl.run(['delete', 'pod/first', '--wait'])
  await runPod(cluster, 'second', 'registry.test/app:1')
})
