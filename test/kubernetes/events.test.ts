import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cluster } from './lab/cluster.ts'
import { until } from './lab/kubectl.ts'
import { runPod } from './lab/pods.ts'
import { NAMESPACE, Release } from './lab/release.ts'

interface EventList {
  readonly items: readonly { readonly involvedObject: { readonly name: string }; readonly message: string }[]
}

test('the pod of an agent that no client asks gets an event, with no more rights than the chart gives', async (t) => {
  const cluster = await Cluster.start(t)
  if (cluster === undefined) return
  await cluster.addNode('one')
  await cluster.registry.push('app', '1', await cluster.podImage('app', []))
  const release = await Release.prepare(cluster)
  await release.install({ events: { enabled: true, afterSeconds: 1 } })
  const pod = await release.podOn('one')
  const event = await until('the event', async () => {
    const selector = '--field-selector=reason=RuntimeDoesNotAsk'
    const { items } = await cluster.kubectl.get<EventList>('events', '--namespace', NAMESPACE, selector)
    return items[0]
  })
  assert.equal(event.involvedObject.name, pod)
  assert.match(event.message, /no client on node one has asked this agent/)

  const account = `--as=system:serviceaccount:${NAMESPACE}:leat`
  const may = async (...what: readonly string[]): Promise<string> =>
    (await cluster.kubectl.run(['auth', 'can-i', account, ...what]).catch(() => 'no')).trim()
  assert.equal(await may('create', 'events', '--namespace', NAMESPACE), 'yes')
  assert.equal(await may('create', 'events', '--namespace', 'default'), 'no')
  assert.equal(await may('list', 'pods', '--namespace', NAMESPACE), 'no')

  await runPod(cluster, 'first', 'registry.test/app:1')
  await until('the end of the watch', async () => {
    const log = await cluster.kubectl.run(['logs', '--namespace', NAMESPACE, pod, '--container=events'])
    return /^a client has asked for an image$/m.test(log) ? true : undefined
  })
})
