import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cluster } from './lab/cluster.ts'
import { until } from './lab/kubectl.ts'
import { createPod, runPod } from './lab/pods.ts'
import { NAMESPACE, Release } from './lab/release.ts'

const LOGIN = { user: 'puller', password: 'a secret of the lab' }
const HOST = 'private.test'
const IMAGE = `${HOST}/app:1`
const LAYERS = [1 << 20]

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

test('a private image runs with a pull secret or with credentials of the agent, and not without', async (t) => {
  const cluster = await Cluster.start(t)
  if (cluster === undefined) return
  const registry = await cluster.addRegistry(HOST, LOGIN)
  await registry.push('app', '1', await cluster.podImage('private', LAYERS))
  await cluster.addNode('one')
  const release = await Release.prepare(cluster)
  await release.install()

  await createPod(cluster, 'refused', IMAGE)
  const reason = 'jsonpath={.status.containerStatuses[0].state.waiting.reason}=ImagePullBackOff'
  await cluster.kubectl.wait(reason, 'pod/refused')
  await cluster.kubectl.run(['delete', 'pod/refused', '--wait'])

  const auths = { [HOST]: { auth: base64(`${LOGIN.user}:${LOGIN.password}`) } }
  await cluster.kubectl.apply({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'login' },
    type: 'kubernetes.io/dockerconfigjson',
    data: { '.dockerconfigjson': base64(JSON.stringify({ auths })) },
  })
  await runPod(cluster, 'with-secret', IMAGE, { pullSecret: 'login' })
  await cluster.kubectl.run(['delete', 'pod/with-secret', '--wait'])

  await registry.push('other', '1', await cluster.podImage('another one', LAYERS))
  const credentials = JSON.stringify({ [HOST]: { username: LOGIN.user, password: LOGIN.password } })
  await cluster.kubectl.apply({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'credentials', namespace: NAMESPACE },
    data: { credentials: base64(credentials) },
  })
  await release.upgrade({ credentialsSecret: 'credentials' })
  await runPod(cluster, 'by-agent', `${HOST}/other:1`)
  const asked = await until('a request of the pull', () => {
    const seen = registry.requests('other').filter(({ status }) => status === 200)
    return seen.length > 0 ? seen : undefined
  })
  assert.ok(asked.every(({ agent }) => agent.startsWith('leat/')))
})
