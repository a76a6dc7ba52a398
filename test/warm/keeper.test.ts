import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, afterEach, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { type Events, subscribe } from '../../src/observe/events.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { OCI_MANIFEST } from '../../src/oci/media-types.ts'
import { Failure } from '../../src/ports/failure.ts'
import { ContentLoader } from '../../src/warm/content/content-loader.ts'
import { parseImageRequest } from '../../src/warm/images/image-request.ts'
import { Keeper } from '../../src/warm/keeper.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { MemoryTarget } from './memory-target.ts'
import { Node } from './node.ts'

const APP = { registry: 'up.test', name: 'app' }
const SHORT = { minMs: 5, maxMs: 10, firstRetryMs: 5 }
let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(() => upstream.close())

afterEach(() => {
  upstream.release()
  upstream.heal()
})

/** The next result of warming the image. The test must call this before it causes the result. */
function nextResult(image: string): Promise<Events['warm.ended']> {
  return new Promise((resolve) => {
    const stop = subscribe('warm.ended', (result) => {
      if (result.image !== image) return
      stop()
      resolve(result)
    })
  })
}

async function pull(node: Node, path: string): Promise<void> {
  const { port } = node.agent.addresses.registry
  const response = await fetch(`http://127.0.0.1:${port}/v2/up.test/${path}`)
  await response.arrayBuffer()
  assert.equal(response.status, 200)
}

test('an image to keep warm is fetched at the start, and readiness for warm images waits for it', async (t) => {
  const app = upstream.addImage('started', 'v1', [randomBytes(100_000)])
  const [layer] = app.layers
  assert.ok(layer)
  upstream.fault(layer, { stallAt: 10_000, times: 1 })
  const node = await Node.start(t, upstream, { warm: [{ image: 'up.test/started:v1', pin: true }] })
  await upstream.stalled(layer)
  assert.deepEqual(await node.readiness(), [
    503,
    'not ready: up.test/started:v1 is not completely stored yet\n',
  ])
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

test('without images to keep warm the agent is ready', async (t) => {
  const node = await Node.start(t, upstream)
  assert.deepEqual(await node.readiness(), [200, 'ready\n'])
})

test('an image that cannot be kept warm is reported with the reason', async (t) => {
  upstream.addImage('app', 'v1')
  const node = await Node.start(t, upstream, {
    warm: [{ image: 'up.test/app:v1' }, { image: 'up.test/app:v9' }],
  })
  for (; ; await pause(5)) {
    const [status, text] = await node.readiness()
    assert.equal(status, 503)
    if (text === 'not ready: up.test/app has no tag v9; check the tag\n') break
  }
})

test('evicted parts are fetched again when readiness is requested', async (t) => {
  const app = upstream.addImage('gone', 'v1')
  const node = await Node.start(t, upstream, { warm: [{ image: 'up.test/gone:v1' }] })
  await node.ready()
  const gc = await fetch(`${node.admin}/api/v1/gc`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"toBytes":0}',
  })
  await gc.text()
  assert.deepEqual(await node.storedDigests(), [])
  const [status, text] = await node.readiness()
  assert.deepEqual([status, text], [503, 'not ready: parts of up.test/gone:v1 are no longer stored: 3\n'])
  await node.ready()
  assert.equal((await node.storedDigests()).length, 3)
  assert.equal(upstream.count(app.config, 'GET'), 2)
})

test('when a tag has moved, the new image is fetched, and the pin moves to it', async (t) => {
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
  const fetched = nextResult('up.test/moved:v1')
  // The pull of a client is the first to notice the move.
  await pull(node, 'moved/manifests/v1')
  assert.deepEqual(await node.readiness(), [
    503,
    'not ready: the tag of up.test/moved:v1 has moved, and the new image is not completely stored yet\n',
  ])
  await upstream.stalled(layer)
  upstream.release()
  assert.deepEqual([(await fetched).digest, (await fetched).error], [now.manifest, undefined])
  await node.ready()
  const pinned = (await node.blobs()).filter((blob) => blob.pinned).map(({ digest }) => digest)
  assert.deepEqual(new Set(pinned), new Set([now.manifest, now.config, ...now.layers]))
  assert.ok(!pinned.includes(before.manifest))
})

/** A keeper with short intervals, on a target in memory. */
class KeeperFixture {
  readonly target = new MemoryTarget()
  readonly keeper: Keeper
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined

  constructor(pin = false) {
    const request = parseImageRequest({ image: 'up.test/app:v1', pin }, 'docker.io')
    assert.ok(request.ok)
    this.keeper = new Keeper(this.target, new ContentLoader(this.target), request.value, SHORT)
  }

  putImage(name: string): Digest {
    const layer = this.target.resolver.putBlob(APP, Buffer.from(name))
    const manifest = {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      layers: [{ digest: layer, size: name.length }],
    }
    const bytes = Buffer.from(JSON.stringify(manifest))
    const digest = this.target.resolver.putManifest(APP, bytes, OCI_MANIFEST, 'v1')
    this.target.tags.set('up.test/app:v1', digest)
    return digest
  }

  start(): void {
    this.#running = this.keeper.run(this.#stopping)
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Failure('stopping', 'the test is over'))
    await this.#running
  }
}

test('a tag is checked at intervals, so that a moved tag is noticed without a request', async (t) => {
  const fixture = new KeeperFixture(true)
  t.after(() => fixture.stop())
  const first = fixture.putImage('first')
  const stored = nextResult('up.test/app:v1')
  fixture.start()
  assert.equal((await stored).digest, first)
  const moved = nextResult('up.test/app:v1')
  const second = fixture.putImage('second')
  assert.equal((await moved).digest, second)
  while ((await fixture.keeper.lacking()) !== undefined) await new Promise(setImmediate)
  assert.deepEqual([...fixture.target.pinned], [second])
})

test('a failure is published once, and retried until the image is stored', async (t) => {
  const fixture = new KeeperFixture()
  t.after(() => fixture.stop())
  fixture.putImage('first')
  fixture.target.resolver.failure = new Failure('unavailable', 'upstream is down')
  const failed = nextResult('up.test/app:v1')
  fixture.start()
  assert.equal((await failed).error, 'up.test/app:v1 could not be fetched: upstream is down')
  const asked = fixture.target.resolver.asked.length
  while (fixture.target.resolver.asked.length < asked + 3) await new Promise(setImmediate)
  assert.equal(await fixture.keeper.lacking(), 'up.test/app:v1 could not be fetched: upstream is down')
  const recovered = nextResult('up.test/app:v1')
  fixture.target.resolver.failure = undefined
  assert.equal((await recovered).error, undefined)
  while ((await fixture.keeper.lacking()) !== undefined) await new Promise(setImmediate)
})

test('a stopping agent does not wait for images that it keeps warm', async (t) => {
  const app = upstream.addImage('ending', 'v1', [randomBytes(100_000)])
  upstream.fault(app.layers[0] ?? '', { stallAt: 10_000 })
  const node = await Node.start(t, upstream, { warm: [{ image: 'up.test/ending:v1' }] })
  await upstream.stalled(app.layers[0] ?? '')
  await node.agent.stop({ drainMs: 0 })
})
