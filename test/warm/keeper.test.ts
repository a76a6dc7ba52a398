import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, afterEach, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { type Events, subscribe } from '../../src/observe/events.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { OCI_MANIFEST } from '../../src/oci/media-types.ts'
import { Failure } from '../../src/ports/failure.ts'
import { Fetching } from '../../src/warm/images/fetching.ts'
import { parseOrder } from '../../src/warm/images/order.ts'
import { Keeper } from '../../src/warm/keeper.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { MemoryPlace } from './memory-place.ts'
import { Node } from './node.ts'

const APP = { registry: 'up.test', name: 'app' }
const QUICK = { oftenMs: 5, seldomMs: 10, firstRetryMs: 5 }
let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(() => upstream.close())

afterEach(() => {
  upstream.release()
  upstream.heal()
})

/** The next image that is warm, or is not; to be asked for before what brings it about. */
function next(image: string): Promise<Events['warm.ended']> {
  return new Promise((resolve) => {
    const stop = subscribe('warm.ended', (fact) => {
      if (fact.image !== image) return
      stop()
      resolve(fact)
    })
  })
}

async function pull(node: Node, path: string): Promise<void> {
  const { port } = node.agent.addresses.registry
  const response = await fetch(`http://127.0.0.1:${port}/v2/up.test/${path}`)
  await response.arrayBuffer()
  assert.equal(response.status, 200)
}

test('what is to be kept warm is fetched at the start, and the agent is ready for it only then', async (t) => {
  const app = upstream.addImage('started', 'v1', [randomBytes(100_000)])
  const [layer] = app.layers
  assert.ok(layer)
  upstream.fault(layer, { stallAt: 10_000, times: 1 })
  const node = await Node.start(t, upstream, { warm: [{ image: 'up.test/started:v1', pin: true }] })
  await upstream.stalled(layer)
  assert.deepEqual(await node.readiness(), [503, 'not ready: up.test/started:v1 is not all here yet\n'])
  assert.equal((await fetch(`${node.admin}/readyz`)).status, 200)
  upstream.release()
  await node.ready()
  const blobs = await node.blobs()
  assert.deepEqual(
    new Set(blobs.map(({ digest }) => digest)),
    new Set([app.manifest, app.config, ...app.layers]),
  )
  assert.ok(blobs.every(({ pinned }) => pinned))
})

test('without anything to keep warm the agent is ready', async (t) => {
  const node = await Node.start(t, upstream)
  assert.deepEqual(await node.readiness(), [200, 'ready\n'])
})

test('what cannot be kept warm is named with its reason, beside what can', async (t) => {
  upstream.addImage('there', 'v1')
  const node = await Node.start(t, upstream, {
    warm: [{ image: 'up.test/there:v1' }, { image: 'up.test/there:v9' }],
  })
  for (; ; await pause(5)) {
    const [status, text] = await node.readiness()
    assert.equal(status, 503)
    if (text === 'not ready: up.test/there has no tag v9; check the tag\n') break
  }
})

test('what has gone is fetched again when somebody asks whether all is there', async (t) => {
  const app = upstream.addImage('gone', 'v1')
  const node = await Node.start(t, upstream, { warm: [{ image: 'up.test/gone:v1' }] })
  await node.ready()
  const gc = await fetch(`${node.admin}/api/v1/gc`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"toBytes":0}',
  })
  await gc.text()
  assert.deepEqual(await node.held(), [])
  const [status, text] = await node.readiness()
  assert.deepEqual([status, text], [503, 'not ready: up.test/gone:v1 lacks 3 of its parts again\n'])
  await node.ready()
  assert.equal((await node.held()).length, 3)
  assert.equal(upstream.count(app.config, 'GET'), 2)
})

test('when a tag has moved, what it means now is fetched, and its pin moves along', async (t) => {
  const before = upstream.addImage('moved', 'v1')
  const entry = { namespace: 'up.test', hosts: [upstream.host], tls: false, tagTtlMs: 0 }
  const node = await Node.start(t, upstream, {
    warm: [{ image: 'up.test/moved:v1', pin: true }],
    upstreams: { entries: [entry] },
  })
  await node.ready()
  const now = upstream.addImage('moved', 'v1')
  const [layer] = now.layers
  assert.ok(layer)
  upstream.fault(layer, { stallAt: 10, times: 1 })
  const fetched = next('up.test/moved:v1')
  // A client hears of it first.
  await pull(node, 'moved/manifests/v1')
  assert.deepEqual(await node.readiness(), [
    503,
    'not ready: up.test/moved:v1 has moved and is not all here yet\n',
  ])
  await upstream.stalled(layer)
  upstream.release()
  assert.deepEqual([(await fetched).digest, (await fetched).error], [now.manifest, undefined])
  await node.ready()
  const pinned = (await node.blobs()).filter((blob) => blob.pinned).map(({ digest }) => digest)
  assert.deepEqual(new Set(pinned), new Set([now.manifest, now.config, ...now.layers]))
  assert.ok(!pinned.includes(before.manifest))
})

/** Real rhythm, with everything else in memory. */
class Kept {
  readonly place = new MemoryPlace()
  readonly keeper: Keeper
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined

  constructor(pin = false) {
    const order = parseOrder({ image: 'up.test/app:v1', pin }, 'docker.io')
    assert.ok(order.ok)
    this.keeper = new Keeper(this.place, new Fetching(this.place), order.value, QUICK)
  }

  put(name: string): Digest {
    const layer = this.place.resolver.putBlob(APP, Buffer.from(name))
    const manifest = {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      layers: [{ digest: layer, size: name.length }],
    }
    const bytes = Buffer.from(JSON.stringify(manifest))
    const digest = this.place.resolver.putManifest(APP, bytes, OCI_MANIFEST, 'v1')
    this.place.tags.set('up.test/app:v1', digest)
    return digest
  }

  start(): void {
    this.#running = this.keeper.run(this.#stopping)
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Failure('stopping', 'it is over'))
    await this.#running
  }
}

test('a tag is looked at again and again, so that nobody need ask', async (t) => {
  const kept = new Kept(true)
  t.after(() => kept.stop())
  const first = kept.put('first')
  const there = next('up.test/app:v1')
  kept.start()
  assert.equal((await there).digest, first)
  const moved = next('up.test/app:v1')
  const second = kept.put('second')
  assert.equal((await moved).digest, second)
  while ((await kept.keeper.lacking()) !== undefined) await new Promise(setImmediate)
  assert.deepEqual([...kept.place.pinned], [second])
})

test('what has failed is told once and tried again until it is there', async (t) => {
  const kept = new Kept()
  t.after(() => kept.stop())
  kept.put('first')
  kept.place.resolver.failure = new Failure('unavailable', 'upstream is away')
  const failed = next('up.test/app:v1')
  kept.start()
  assert.equal((await failed).error, 'up.test/app:v1 could not be had: upstream is away')
  const asked = kept.place.resolver.asked.length
  while (kept.place.resolver.asked.length < asked + 3) await new Promise(setImmediate)
  assert.equal(await kept.keeper.lacking(), 'up.test/app:v1 could not be had: upstream is away')
  const then = next('up.test/app:v1')
  kept.place.resolver.failure = undefined
  assert.equal((await then).error, undefined)
  while ((await kept.keeper.lacking()) !== undefined) await new Promise(setImmediate)
})

test('an agent that stops does not wait for what is being kept warm', async (t) => {
  const app = upstream.addImage('ending', 'v1', [randomBytes(100_000)])
  upstream.fault(app.layers[0] ?? '', { stallAt: 10_000 })
  const node = await Node.start(t, upstream, { warm: [{ image: 'up.test/ending:v1' }] })
  await upstream.stalled(app.layers[0] ?? '')
  await node.agent.stop({ drainMs: 0 })
})
