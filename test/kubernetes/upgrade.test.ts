import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { pullByCri, removeByCri } from '../runtimes/cri-client.ts'
import { agentMetric } from './lab/agent-metrics.ts'
import { Cluster } from './lab/cluster.ts'
import { until } from './lab/kubectl.ts'
import type { ClusterNode } from './lab/node.ts'
import { NAMESPACE, Release } from './lab/release.ts'

const MIB = 1 << 20
const IMAGES = 3

interface Started {
  readonly cluster: Cluster
  readonly node: ClusterNode
  readonly release: Release
}

/** One node with the chart, and a few images in the registry. */
async function start(t: TestContext): Promise<Started | undefined> {
  const cluster = await Cluster.start(t)
  if (cluster === undefined) return undefined
  const node = await cluster.addNode('one')
  for (let at = 0; at < IMAGES; at += 1) {
    await cluster.registry.push(`app-${at}`, '1', await cluster.podImage(`app ${at}`, [2 * MIB, MIB]))
  }
  const release = await Release.prepare(cluster)
  await release.install()
  return { cluster, node, release }
}

/** Pulls images one after another, each again and again, until the step is over. Returns how many pulls there were. */
async function pullDuring(node: ClusterNode, step: Promise<unknown>): Promise<number> {
  let isOver = false
  const end = step.finally(() => {
    isOver = true
  })
  let pulls = 0
  const pulling = (async () => {
    while (!isOver) {
      const image = `registry.test/app-${pulls % IMAGES}:1`
      await pullByCri(node.socket, image)
      await removeByCri(node.socket, image)
      pulls += 1
    }
  })()
  await Promise.all([end, pulling])
  return pulls
}

test('no pull fails during an upgrade and a rollback', async (t) => {
  const started = await start(t)
  if (started === undefined) return
  const { node, release } = started
  const before = await release.podOn('one')
  const pulls = await pullDuring(
    node,
    (async () => {
      await release.upgrade({ logLevel: 'debug' })
      const upgraded = await release.podOn('one')
      assert.notEqual(upgraded, before)
      await release.rollback()
      assert.notEqual(await release.podOn('one'), upgraded)
    })(),
  )
  t.diagnostic(`${pulls} pulls`)
  assert.ok(pulls >= IMAGES)
})

test('no pull fails when an agent is killed, and its node then has one again', async (t) => {
  const started = await start(t)
  if (started === undefined) return
  const { cluster, node, release } = started
  const pod = await release.podOn('one')
  const restarts = async (): Promise<number> => {
    const path = '-o=jsonpath={.status.containerStatuses[?(@.name=="agent")].restartCount}'
    return Number(await cluster.kubectl.run(['get', '--namespace', NAMESPACE, `pod/${pod}`, path]))
  }
  assert.equal(await restarts(), 0)
  const pulls = await pullDuring(
    node,
    (async () => {
      const { code } = await node.run('pkill', [
        '-KILL',
        '--full',
        '--oldest',
        '^node /app/dist/main.js serve',
      ])
      assert.equal(code, 0)
      await until('the restart of the agent', async () => ((await restarts()) > 0 ? true : undefined))
      await cluster.kubectl.wait('condition=Ready', '--namespace', NAMESPACE, `pod/${pod}`)
    })(),
  )
  t.diagnostic(`${pulls} pulls`)
  const served = await agentMetric(node, 'leat_http_requests_total')
  await pullByCri(node.socket, 'registry.test/app-0:1')
  assert.ok((await agentMetric(node, 'leat_http_requests_total')) > served)
})
