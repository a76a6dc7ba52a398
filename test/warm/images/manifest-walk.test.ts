import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, afterEach, before, test } from 'node:test'
import type { Digest } from '../../../src/oci/digest.ts'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import { platformOfNode } from '../../../src/oci/platform.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { Node } from '../node.ts'
import { addIndex, addReferrer, digestsOf } from '../upstream-images.ts'

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
})

test('of an index, the platform of the node is stored, or the requested ones, or all', async (t) => {
  const own = upstream.addImage('multi', undefined as never, [randomBytes(100)])
  const other = upstream.addImage('multi', undefined as never, [randomBytes(100)])
  const third = upstream.addImage('multi', undefined as never, [randomBytes(100)])
  const inner = addIndex(upstream, 'multi', 'inner', [
    { image: other.manifest, platform: { os: 'linux', architecture: OTHER_ARCHITECTURE } },
  ])
  const index = addIndex(upstream, 'multi', 'v1', [
    { image: own.manifest, platform: { os: 'linux', architecture: NODE_ARCHITECTURE } },
    { image: other.manifest, platform: { os: 'linux', architecture: OTHER_ARCHITECTURE } },
    { image: third.manifest, platform: { os: 'windows', architecture: 'amd64' } },
  ])
  const nested = addIndex(upstream, 'multi', 'nested', [{ image: inner }])
  const table: readonly [string, string[] | undefined, Digest[]][] = [
    ['up.test/multi:v1', undefined, [index, ...digestsOf(own)]],
    ['up.test/multi:v1', [`linux/${OTHER_ARCHITECTURE}`], [index, ...digestsOf(other)]],
    [
      'up.test/multi:v1',
      [`linux/${OTHER_ARCHITECTURE}`, 'windows/amd64'],
      [index, ...digestsOf(other), ...digestsOf(third)],
    ],
    ['up.test/multi:v1', ['all'], [index, ...digestsOf(own), ...digestsOf(other), ...digestsOf(third)]],
    [`up.test/multi@${index}`, undefined, [index, ...digestsOf(own)]],
    ['up.test/multi:nested', [`linux/${OTHER_ARCHITECTURE}`], [nested, inner, ...digestsOf(other)]],
  ]
  for (const [image, platforms, expected] of table) {
    const node = await Node.start(t, upstream)
    const { done } = await node.warm({ images: [image], ...(platforms && { platforms }) })
    assert.equal(done.failed, 0)
    assert.deepEqual(new Set(await node.storedDigests()), new Set(expected), `${image} for ${platforms}`)
  }
})

test('signatures and attestations are stored if referrers are requested, and not otherwise', async (t) => {
  const app = upstream.addImage('signed', undefined as never, [randomBytes(100)])
  const attestation = upstream.addImage('signed', undefined as never, [Buffer.from('provenance')])
  const index = addIndex(upstream, 'signed', 'v1', [
    { image: app.manifest, platform: { os: 'linux', architecture: NODE_ARCHITECTURE } },
    {
      image: attestation.manifest,
      platform: { os: 'unknown', architecture: 'unknown' },
      annotations: {
        'vnd.docker.reference.type': 'attestation-manifest',
        'vnd.docker.reference.digest': app.manifest,
      },
    },
  ])
  const onIndex = addReferrer(upstream, 'signed', index, 'signature of the index')
  const onImage = addReferrer(upstream, 'signed', app.manifest, 'list of parts')
  const onReferrer = addReferrer(upstream, 'signed', onImage.manifest, 'signature of the list')
  const tagged = upstream.addImage('signed', `${index.replace(':', '-')}.sig`, [Buffer.from('by cosign')])
  const node = await Node.start(t, upstream)
  const bare = await node.warm({ images: ['up.test/signed:v1'] })
  assert.deepEqual(new Set(await node.storedDigests()), new Set([index, ...digestsOf(app)]))
  assert.equal(bare.images[0]?.referrers, 0)
  const { images } = await node.warm({ images: ['up.test/signed:v1'], referrers: true, pin: true })
  assert.equal(images[0]?.error, null)
  assert.equal(images[0].referrers, 4)
  const stored = new Set(await node.storedDigests())
  for (const digest of [
    ...digestsOf(attestation),
    ...digestsOf(tagged),
    ...[onIndex, onImage, onReferrer].flatMap(({ manifest, layer }) => [manifest, layer]),
  ])
    assert.ok(stored.has(digest))
  assert.ok((await node.blobs()).every(({ pinned }) => pinned))
})

test('without a referrers API the fallback tag is requested', async (t) => {
  upstream.referrersApi = false
  t.after(() => {
    upstream.referrersApi = true
  })
  const app = upstream.addImage('fallback', 'v1')
  const { manifest, layer } = addReferrer(upstream, 'fallback', app.manifest, 'a signature')
  addIndex(upstream, 'fallback', app.manifest.replace(':', '-'), [{ image: manifest }])
  const node = await Node.start(t, upstream)
  await node.warm({ images: ['up.test/fallback:v1'], referrers: true })
  const stored = await node.storedDigests()
  assert.ok(stored.includes(manifest) && stored.includes(layer))
})

test('foreign layers are counted and not fetched', async (t) => {
  const own = upstream.addBlob(randomBytes(100))
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    layers: [
      { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: own, size: 100 },
      {
        mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
        digest: `sha256:${'1'.repeat(64)}`,
        size: 1_000_000,
        urls: ['https://example.com/base'],
      },
    ],
  }
  const digest = upstream.addManifest('foreign', 'v1', JSON.stringify(manifest))
  const node = await Node.start(t, upstream)
  const { images } = await node.warm({ images: ['up.test/foreign:v1'] })
  assert.deepEqual([images[0]?.error, images[0]?.foreign], [null, 1])
  assert.deepEqual(new Set(await node.storedDigests()), new Set([digest, own]))
})
