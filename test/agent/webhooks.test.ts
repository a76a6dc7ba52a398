import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { folder } from '../store/folder.ts'
import { HookServer } from '../webhooks/hook-server.ts'
import { startAgent, startUpstream } from './running-agent.ts'

test('a pull of a manifest is told, a HEAD, a blob and a failed request are not', async (t) => {
  const upstream = await startUpstream(t)
  const image = upstream.addImage('app', 'v1', [randomBytes(1000)])
  const server = new HookServer()
  const url = await server.start(t)
  const running = await startAgent(t, { upstream, webhooks: [{ url, events: ['pull'] }] })
  await running.get('app/manifests/v1', { method: 'HEAD' })
  await running.get('app/manifests/none')
  await running.getBlob(image.config)
  const { headers, body } = await running.get('app/manifests/v1')
  await running.get('app/manifests/v1', { headers: { 'if-none-match': `"${image.manifest}"` } })
  await running.get(`app/manifests/${image.manifest}`)
  await server.received(2)
  await running.stop()
  const data = { repository: 'up.test/app', digest: image.manifest, size: body.length, client: 'loopback' }
  const mediaType = headers['content-type']
  assert.deepEqual(server.all('data'), [
    { ...data, mediaType, tag: 'v1' },
    { ...data, mediaType, tag: null },
  ])
})

test('the first use of a digest is told once, also after a restart, and again when it was removed', async (t) => {
  const upstream = await startUpstream(t)
  const image = upstream.addImage('app', 'v1', [randomBytes(1000)])
  const server = new HookServer()
  const webhooks = [{ url: await server.start(t), events: ['first-use'] as const }]
  const data = await folder(t)
  const first = await startAgent(t, { upstream, data, webhooks })
  await first.get('app/manifests/v1')
  await first.get('app/manifests/v1')
  await server.received(1)
  await first.stop()
  const second = await startAgent(t, { upstream, data, webhooks })
  await second.get('app/manifests/v1')
  const { admin } = second.agent.addresses
  const removal = await fetch(`http://127.0.0.1:${admin?.port}/api/v1/images`, {
    method: 'DELETE',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ subjects: ['up.test/app:v1'], force: false }),
  })
  assert.match(await removal.text(), /"done"/)
  await second.get('app/manifests/v1')
  await server.received(2)
  await second.stop()
  assert.deepEqual(server.all('subject'), ['up.test/app:v1', 'up.test/app:v1'])
  assert.equal(image.manifest, (server.all('data')[1] as { digest: string }).digest)
})

test('a webhook that takes nothing delays no pull, and is named in the status', async (t) => {
  const upstream = await startUpstream(t)
  upstream.addImage('app', 'v1', [randomBytes(1000)])
  const server = new HookServer()
  server.next.push('hang')
  const url = await server.start(t)
  const running = await startAgent(t, { upstream, webhooks: [{ url }] })
  for (let pulls = 0; pulls < 20; pulls += 1) {
    assert.equal((await running.get('app/manifests/v1')).status, 200)
  }
  await server.received(1)
  const { admin } = running.agent.addresses
  const status = (await (await fetch(`http://127.0.0.1:${admin?.port}/api/v1/status`)).json()) as {
    webhooks: unknown
  }
  const waiting = { name: new URL(url).host, delivered: 0, dropped: 0, problem: null }
  // Twenty pulls and a first use; the attempt under way is still without an answer.
  assert.deepEqual(status.webhooks, [{ ...waiting, waiting: 21 }])
  assert.equal(server.requests.length, 1)
})
