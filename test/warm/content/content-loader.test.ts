import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, afterEach, before, test } from 'node:test'
import { subscribe } from '../../../src/observe/events.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { Node } from '../node.ts'

const KIB = 1024
let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(() => upstream.close())

afterEach(() => {
  upstream.release()
  upstream.heal()
})

test('a layer that two images share, and that a client pulls meanwhile, is fetched once', async (t) => {
  const node = await Node.start(t, upstream)
  const base = randomBytes(200 * KIB)
  const first = upstream.addImage('one', 'v1', [base, randomBytes(100)])
  upstream.addImage('two', 'v1', [base, randomBytes(100)])
  const [shared] = first.layers
  assert.ok(shared)
  upstream.fault(shared, { stallAt: 100 * KIB, times: 1 })
  const warming = node.warm({ images: ['up.test/one:v1', 'up.test/two:v1'] })
  await upstream.stalled(shared)
  const { registry } = node.agent.addresses
  const pull = fetch(`http://127.0.0.1:${registry.port}/v2/up.test/two/blobs/${shared}`)
  const pulled = await pull
  upstream.release()
  assert.ok(Buffer.from(await pulled.arrayBuffer()).equals(base))
  const { done, images } = await warming
  assert.deepEqual([done.failed, images.length], [0, 2])
  assert.equal(upstream.count(shared, 'GET'), 1)
  assert.equal(done.fetched.upstream, done.bytes)
})

test('a manifest that cannot be stored is an error, even if it is in memory', async (t) => {
  const app = upstream.addImage('tiny', 'v1')
  const node = await Node.start(t, upstream, { maxBytes: { bytes: 200 } })
  const { port } = node.agent.addresses.registry
  const pulled = await fetch(`http://127.0.0.1:${port}/v2/up.test/tiny/manifests/${app.manifest}`)
  assert.equal(pulled.status, 200)
  await pulled.arrayBuffer()
  assert.match(
    await node.warmError('up.test/tiny:v1'),
    /^up\.test\/tiny:v1 cannot be stored: there is no room/,
  )
})

test('when the client disconnects, no blob is started, flights go on, and the next request continues', async (t) => {
  const node = await Node.start(t, upstream)
  const app = upstream.addImage(
    'left',
    'v1',
    Array.from({ length: 12 }, () => randomBytes(100 * KIB)),
  )
  for (const layer of app.layers) upstream.fault(layer, { stallAt: 50 * KIB, times: 1 })
  const disconnect = new AbortController()
  const response = await node.post({ images: ['up.test/left:v1'] }, disconnect)
  const [first] = app.layers
  assert.ok(first)
  await upstream.stalled(first)
  const stored = new Promise<void>((resolve) => {
    t.after(
      subscribe('flight.ended', ({ digest, isStored }) => {
        if (digest === first && isStored) resolve()
      }),
    )
  })
  disconnect.abort()
  await response.body?.cancel().catch(() => {})
  upstream.heal()
  upstream.release()
  await stored
  const { done } = await node.warm({ images: ['up.test/left:v1'] })
  assert.equal(done.failed, 0)
  for (const layer of app.layers) assert.equal(upstream.bytesSent(layer), 100 * KIB)
})

test('a registry that answers 429 with Retry-After is asked again', async (t) => {
  const app = upstream.addImage('busy', 'v1')
  upstream.fault(app.config, { status: 429, headers: { 'retry-after': '0' }, times: 1 })
  const node = await Node.start(t, upstream)
  assert.equal((await node.warm({ images: ['up.test/busy:v1'] })).done.failed, 0)
})
