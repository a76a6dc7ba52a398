import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, afterEach, before, test } from 'node:test'
import { platformOfNode } from '../../../src/oci/platform.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { Node } from '../node.ts'
import { addIndex, digestsOf } from '../upstream-images.ts'

const KIB = 1024
const MIB = 1024 ** 2
const NODE_ARCHITECTURE = platformOfNode().architecture
const OTHER_ARCHITECTURE = NODE_ARCHITECTURE === 's390x' ? 'riscv64' : 's390x'
let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(() => upstream.close())

afterEach(() => {
  upstream.release()
  upstream.heal()
  upstream.requireNothing()
})

test('each image that cannot be fetched is reported in one sentence, and the others are stored', async (t) => {
  const fine = upstream.addImage('fine', 'v1')
  const broken = upstream.addImage('broken', 'v1')
  upstream.fault(broken.layers[0] ?? '', { status: 404 })
  const single = upstream.addImage('single', 'v1')
  addIndex(upstream, 'onlythere', 'v1', [
    { image: single.manifest, platform: { os: 'linux', architecture: OTHER_ARCHITECTURE } },
  ])
  const node = await Node.start(t, upstream, { allow: ['up.test/**', '127.0.0.1:1/*'] })
  const table: readonly [string, RegExp][] = [
    ['up.test/fine:v9', /^up\.test\/fine has no tag v9; check the tag$/],
    ['up.test/fnie:v1', /^up\.test\/fnie:v1 does not exist: .*\(status 404\); check the name$/],
    ['up.test/broken:v1', /^up\.test\/broken:v1 is incomplete upstream: .*\(status 404\)$/],
    [
      'up.test/onlythere:v1',
      new RegExp(`has no image for linux/${NODE_ARCHITECTURE}; available: linux/${OTHER_ARCHITECTURE}$`),
    ],
    [`up.test/fine@sha256:${'0'.repeat(64)}`, /does not exist: .*; check the name$/],
    ['other.test/app:v1', /may not be served by this agent; see --allow$/],
    ['127.0.0.1:1/app:v1', /^127\.0\.0\.1:1\/app:v1 could not be fetched: /],
  ]
  const { images, done } = await node.warm({ images: ['up.test/fine:v1', ...table.map(([image]) => image)] })
  assert.deepEqual([done.images, done.failed], [table.length + 1, table.length])
  for (const [image, expected] of table) {
    const { error } = images.find((each) => each.image === image) ?? assert.fail(image)
    assert.match(error ?? '', expected)
  }
  assert.equal(images.find(({ error }) => error === null)?.digest, fine.manifest)
  const mismatch = await node.warmError('up.test/single:v1', { platforms: ['linux/riscv64'] })
  assert.match(mismatch, /^up\.test\/single:v1 has no image for linux\/riscv64; available: linux\/amd64$/)
})

test('a private image is fetched with the configured credentials, and without them the error names the setting', async (t) => {
  const app = upstream.addImage('private', 'v1')
  upstream.requireBasic('ann', 'secret')
  const withoutCredentials = await Node.start(t, upstream)
  assert.match(
    await withoutCredentials.warmError('up.test/private:v1'),
    /does not exist or is private: .*; check the name, and the credentials for up\.test under upstreams$/,
  )
  const entry = { namespace: 'up.test', hosts: [upstream.host], tls: false }
  const entries = [{ ...entry, username: 'ann', password: 'secret' }]
  const node = await Node.start(t, upstream, { upstreams: { entries } })
  assert.equal((await node.warm({ images: ['up.test/private:v1'] })).done.failed, 0)
  assert.deepEqual(new Set(await node.storedDigests()), new Set(digestsOf(app)))
})

test('an image that is larger than the limit is refused before its blobs are fetched', async (t) => {
  const big = upstream.addImage('big', 'v1', [randomBytes(3 * MIB)])
  const node = await Node.start(t, upstream, { maxBytes: { bytes: 2 * MIB } })
  assert.match(
    await node.warmError('up.test/big:v1'),
    /^up\.test\/big:v1 needs 3\.0 MiB, but at most 2\.0 MiB can be stored; raise --max-bytes, or warm fewer images$/,
  )
  assert.equal(upstream.count(big.layers[0] ?? ''), 0)
})

test('a blob that finds no room is not fetched to its end, and the error says so', async (t) => {
  const [first, big] = [
    upstream.addImage('first', 'v1', [randomBytes(3 * MIB)]),
    upstream.addImage('second', 'v1', [randomBytes(3 * MIB)]),
  ]
  const node = await Node.start(t, upstream, { maxBytes: { bytes: 4 * MIB } })
  assert.equal((await node.warm({ images: ['up.test/first:v1'], pin: true })).done.failed, 0)
  upstream.fault(big.layers[0] ?? '', { stallAt: 64 * KIB })
  assert.match(
    await node.warmError('up.test/second:v1'),
    /^up\.test\/second:v1 cannot be stored: there is no room for \d+ bytes; free disk space, or raise --max-bytes$/,
  )
  assert.ok(upstream.bytesSent(big.layers[0] ?? '') <= 64 * KIB)
  const stored = await node.storedDigests()
  assert.ok(digestsOf(first).every((digest) => stored.includes(digest)))
})
