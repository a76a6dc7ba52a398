import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, afterEach, before, test } from 'node:test'
import type { WarmProgress } from '../../src/schemas/warm-report.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { Node } from './node.ts'
import { digestsOf } from './upstream-images.ts'

const KIB = 1024
const MIB = 1024 ** 2
let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(() => upstream.close())

afterEach(() => {
  upstream.release()
  upstream.heal()
})

test('a whole image is stored with the origin of its bytes, and a second request fetches nothing', async (t) => {
  const node = await Node.start(t, upstream)
  const layers = [randomBytes(300 * KIB), randomBytes(70 * KIB), randomBytes(100)]
  const app = upstream.addImage('whole', 'v1', layers)
  const first = await node.warm({ images: ['up.test/whole:v1'] })
  assert.deepEqual(
    first.images.map(({ image, digest, error }) => [image, digest, error]),
    [['up.test/whole:v1', app.manifest, null]],
  )
  assert.deepEqual(new Set(await node.storedDigests()), new Set(digestsOf(app)))
  const { bytes, hereBytes, fetched } = first.done
  assert.deepEqual([hereBytes, fetched], [0, { peer: 0, objectStore: 0, upstream: bytes }])
  assert.ok(bytes > 370 * KIB + 100)
  const requests = upstream.requests.length
  const { images, done } = await node.warm({ images: ['up.test/whole:v1', 'up.test/whole:v1'] })
  assert.equal(images.length, 1, 'an image that is named twice counts once')
  assert.deepEqual(
    [done.failed, done.hereBytes, done.fetched],
    [0, bytes, { peer: 0, objectStore: 0, upstream: 0 }],
  )
  assert.equal(upstream.requests.length, requests)
})

test('an image that is warmed with a pin is not evicted', async (t) => {
  const app = upstream.addImage('pinned', 'v1')
  const node = await Node.start(t, upstream)
  const { images } = await node.warm({ images: ['up.test/pinned:v1'], pin: true })
  assert.equal(images[0]?.pinned, true)
  await fetch(`${node.admin}/api/v1/gc`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"toBytes":0}',
  }).then((response) => response.text())
  assert.deepEqual(new Set(await node.storedDigests()), new Set(digestsOf(app)))
})

test('progress lines report the bytes of each image and of all, their origin, the rate and the time left', async (t) => {
  const node = await Node.start(t, upstream)
  const app = upstream.addImage('slow', 'v1', [randomBytes(2 * MIB)])
  const [layer] = app.layers
  assert.ok(layer)
  upstream.fault(layer, { stallAt: MIB, times: 1 })
  let middle: WarmProgress | undefined
  const { done, lines } = await node.warm({ images: ['up.test/slow:v1'] }, (line) => {
    if (line.is !== 'progress' || line.bytesPerSecond === 0 || line.secondsLeft === null) return
    if (line.bytes < MIB) return
    middle ??= line
    upstream.release()
  })
  assert.ok(middle, JSON.stringify(lines))
  assert.equal(middle.ofBytes, done.bytes)
  assert.ok(middle.bytes > 0 && middle.bytes < middle.ofBytes)
  assert.ok(middle.fetched.upstream > 0 && middle.fetched.upstream <= done.bytes)
  const [under] = middle.under
  assert.deepEqual(
    [under?.image, under?.isPlanned, under?.ofParts, under?.ofBytes],
    ['up.test/slow:v1', true, 3, done.bytes],
  )
})

test('while upstream fails, a stored image is warm as it was', async (t) => {
  upstream.addImage('away', 'v1')
  const entry = { namespace: 'up.test', hosts: [upstream.host], tls: false, tagTtlMs: 0 }
  const node = await Node.start(t, upstream, { upstreams: { entries: [entry] } })
  assert.equal((await node.warm({ images: ['up.test/away:v1'] })).images[0]?.stale, false)
  upstream.fault('v1', { status: 503 })
  const { images, done } = await node.warm({ images: ['up.test/away:v1'] })
  assert.deepEqual([done.failed, images[0]?.stale, done.hereBytes], [0, true, done.bytes])
})

test('a stopping agent ends a request with a reason', async (t) => {
  const node = await Node.start(t, upstream)
  const app = upstream.addImage('stopping', 'v1', [randomBytes(100 * KIB)])
  upstream.fault(app.layers[0] ?? '', { stallAt: 100 })
  const response = await node.post({ images: ['up.test/stopping:v1'] })
  await upstream.stalled(app.layers[0] ?? '')
  const [text] = await Promise.all([response.text(), node.agent.stop({ drainMs: 0 })])
  assert.deepEqual(JSON.parse(text.trimEnd().split('\n').at(-1) ?? ''), {
    is: 'failed',
    error: 'the agent is shutting down',
  })
})

test('an invalid request is refused before anything is fetched', async (t) => {
  const node = await Node.start(t, upstream)
  const table: readonly [object, number, RegExp][] = [
    [{ images: ['UP/case'] }, 400, /not an image name/],
    [{ images: [] }, 400, /images/],
    [{ images: ['a'], platforms: ['linux'] }, 400, /\\"linux\\" is not a platform/],
    [{ images: ['a'], platforms: ['all', 'linux/amd64'] }, 400, /cannot be combined with other platforms/],
    [{ images: ['a'], pni: true }, 400, /pni/],
  ]
  for (const [request, status, expected] of table) {
    const response = await node.post(request)
    assert.equal(response.status, status)
    assert.match(await response.text(), expected)
  }
})
