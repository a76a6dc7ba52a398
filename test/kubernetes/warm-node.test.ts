import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agentMetric } from './lab/agent-metrics.ts'
import { Cluster } from './lab/cluster.ts'
import { until } from './lab/kubectl.ts'
import { runPod } from './lab/pods.ts'
import { Release } from './lab/release.ts'

const KEY = 'leat/warming'
const IMAGE = 'registry.test/app:1'

interface NodeObject {
  readonly spec: { readonly taints?: readonly { readonly key: string }[] }
}

test('a new node loses its taint when the images of config.warm are stored there', async (t) => {
  const cluster = await Cluster.start(t)
  if (cluster === undefined) return
  await cluster.addNode('one')
  await cluster.registry.push('app', '1', await cluster.podImage('app', [1 << 20]))
  const release = await Release.prepare(cluster)
  await release.install({ startupTaint: { enabled: true }, config: { warm: [IMAGE] } })

  const two = await cluster.addNode('two', { taint: { key: KEY, effect: 'NoSchedule' } })
  await until('the node without its taint', async () => {
    const { spec } = await cluster.kubectl.get<NodeObject>('node/two')
    return spec.taints?.some(({ key }) => key === KEY) ? undefined : true
  })
  const upstream = 'source="upstream"'
  const before = await agentMetric(two, 'leat_fetched_bytes_total', upstream)
  await runPod(cluster, 'first', IMAGE, { node: 'two' })
  assert.equal(await agentMetric(two, 'leat_fetched_bytes_total', upstream), before, 'the image was there')
})
