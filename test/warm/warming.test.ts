import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, afterEach, before, test } from 'node:test'
import { subscribe } from '../../src/observe/events.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { platformOfNode } from '../../src/oci/platform.ts'
import type { WarmProgress } from '../../src/schemas/warm-report.ts'
import {
  type FaultyUpstream,
  type ImageAdded,
  OCI_INDEX,
  OCI_MANIFEST,
  startFaultyUpstream,
} from '../../testkit/registries/faulty-upstream.ts'
import { Node } from './node.ts'

const KIB = 1024
const MIB = 1024 * KIB
const here = platformOfNode().architecture
const there = here === 's390x' ? 'riscv64' : 's390x'
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

function digestsOf({ manifest, config, layers }: ImageAdded): Digest[] {
  return [manifest, config, ...layers]
}

function addIndex(
  repo: string,
  tag: string,
  entries: readonly { image: Digest; platform?: object; annotations?: object }[],
): Digest {
  const manifests = entries.map(({ image, ...rest }) => ({
    mediaType: OCI_MANIFEST,
    digest: image,
    size: 400,
    ...rest,
  }))
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests }
  return upstream.addManifest(repo, tag, JSON.stringify(index), OCI_INDEX)
}

function addReferrer(repo: string, subject: Digest, what: string): { manifest: Digest; layer: Digest } {
  const layer = upstream.addBlob(Buffer.from(what))
  const config = upstream.addBlob(Buffer.from('{}'))
  const manifest = upstream.addManifest(
    repo,
    undefined,
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      artifactType: 'application/vnd.test.signature',
      config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: config, size: 2 },
      layers: [{ mediaType: 'text/plain', digest: layer, size: what.length }],
      subject: { mediaType: OCI_MANIFEST, digest: subject, size: 400 },
    }),
  )
  return { manifest, layer }
}

test('all of an image is stored, with what came from where, and a second time nothing is fetched', async (t) => {
  const node = await Node.start(t, upstream)
  const layers = [randomBytes(300 * KIB), randomBytes(70 * KIB), randomBytes(100)]
  const app = upstream.addImage('whole', 'v1', layers)
  const first = await node.warm({ images: ['up.test/whole:v1'] })
  assert.deepEqual(
    first.images.map(({ image, digest, error }) => [image, digest, error]),
    [['up.test/whole:v1', app.manifest, null]],
  )
  assert.deepEqual(new Set(await node.held()), new Set(digestsOf(app)))
  const { bytes, hereBytes, fetched } = first.done
  assert.deepEqual([hereBytes, fetched], [0, { peer: 0, upstream: bytes }])
  assert.ok(bytes > 370 * KIB + 100)
  const asked = upstream.requests.length
  const { images, done } = await node.warm({ images: ['up.test/whole:v1', 'up.test/whole:v1'] })
  assert.equal(images.length, 1, 'named twice is once')
  assert.deepEqual([done.failed, done.hereBytes, done.fetched], [0, bytes, { peer: 0, upstream: 0 }])
  assert.equal(upstream.requests.length, asked)
})

test('images that share a layer, and clients that pull it meanwhile, fetch it once', async (t) => {
  const node = await Node.start(t, upstream)
  const base = randomBytes(200 * KIB)
  const one = upstream.addImage('one', 'v1', [base, randomBytes(100)])
  upstream.addImage('two', 'v1', [base, randomBytes(100)])
  const [shared] = one.layers
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

test('of an index this node gets its own platform, or those that are asked for, or all', async (t) => {
  const mine = upstream.addImage('multi', undefined as never, [randomBytes(100)])
  const other = upstream.addImage('multi', undefined as never, [randomBytes(100)])
  const third = upstream.addImage('multi', undefined as never, [randomBytes(100)])
  const inner = addIndex('multi', 'inner', [
    { image: other.manifest, platform: { os: 'linux', architecture: there } },
  ])
  const index = addIndex('multi', 'v1', [
    { image: mine.manifest, platform: { os: 'linux', architecture: here } },
    { image: other.manifest, platform: { os: 'linux', architecture: there } },
    { image: third.manifest, platform: { os: 'windows', architecture: 'amd64' } },
  ])
  const nested = addIndex('multi', 'nested', [{ image: inner }])
  const table: readonly [string, string[] | undefined, Digest[]][] = [
    ['up.test/multi:v1', undefined, [index, ...digestsOf(mine)]],
    ['up.test/multi:v1', [`linux/${there}`], [index, ...digestsOf(other)]],
    [
      'up.test/multi:v1',
      [`linux/${there}`, 'windows/amd64'],
      [index, ...digestsOf(other), ...digestsOf(third)],
    ],
    ['up.test/multi:v1', ['all'], [index, ...digestsOf(mine), ...digestsOf(other), ...digestsOf(third)]],
    [`up.test/multi@${index}`, undefined, [index, ...digestsOf(mine)]],
    ['up.test/multi:nested', [`linux/${there}`], [nested, inner, ...digestsOf(other)]],
  ]
  for (const [image, platforms, expected] of table) {
    const node = await Node.start(t, upstream)
    const { done } = await node.warm({ images: [image], ...(platforms && { platforms }) })
    assert.equal(done.failed, 0)
    assert.deepEqual(new Set(await node.held()), new Set(expected), `${image} for ${platforms}`)
  }
})

test('signatures and attestations come with --referrers and not without', async (t) => {
  const app = upstream.addImage('signed', undefined as never, [randomBytes(100)])
  const attestation = upstream.addImage('signed', undefined as never, [Buffer.from('provenance')])
  const index = addIndex('signed', 'v1', [
    { image: app.manifest, platform: { os: 'linux', architecture: here } },
    {
      image: attestation.manifest,
      platform: { os: 'unknown', architecture: 'unknown' },
      annotations: {
        'vnd.docker.reference.type': 'attestation-manifest',
        'vnd.docker.reference.digest': app.manifest,
      },
    },
  ])
  const onIndex = addReferrer('signed', index, 'signature of the index')
  const onImage = addReferrer('signed', app.manifest, 'list of parts')
  const onThat = addReferrer('signed', onImage.manifest, 'signature of the list')
  const tagged = upstream.addImage('signed', `${index.replace(':', '-')}.sig`, [Buffer.from('by cosign')])
  const node = await Node.start(t, upstream)
  const bare = await node.warm({ images: ['up.test/signed:v1'] })
  assert.deepEqual(new Set(await node.held()), new Set([index, ...digestsOf(app)]))
  assert.equal(bare.images[0]?.referrers, 0)
  const { images } = await node.warm({ images: ['up.test/signed:v1'], referrers: true, pin: true })
  assert.equal(images[0]?.error, null)
  assert.equal(images[0].referrers, 4)
  const held = new Set(await node.held())
  for (const digest of [
    ...digestsOf(attestation),
    ...digestsOf(tagged),
    ...[onIndex, onImage, onThat].flatMap(({ manifest, layer }) => [manifest, layer]),
  ])
    assert.ok(held.has(digest))
  assert.ok((await node.blobs()).every(({ pinned }) => pinned))
})

test('a registry without an API for referrers is asked for the fallback tag', async (t) => {
  upstream.referrersApi = false
  t.after(() => {
    upstream.referrersApi = true
  })
  const app = upstream.addImage('fallback', 'v1')
  const { manifest, layer } = addReferrer('fallback', app.manifest, 'a signature')
  addIndex('fallback', app.manifest.replace(':', '-'), [{ image: manifest }])
  const node = await Node.start(t, upstream)
  await node.warm({ images: ['up.test/fallback:v1'], referrers: true })
  const held = await node.held()
  assert.ok(held.includes(manifest) && held.includes(layer))
})

test('what is warmed with pin is not evicted', async (t) => {
  const app = upstream.addImage('pinned', 'v1')
  const node = await Node.start(t, upstream)
  const { images } = await node.warm({ images: ['up.test/pinned:v1'], pin: true })
  assert.equal(images[0]?.pinned, true)
  await fetch(`${node.admin}/api/v1/gc`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"toBytes":0}',
  }).then((response) => response.text())
  assert.deepEqual(new Set(await node.held()), new Set(digestsOf(app)))
})

test('progress tells how much of each image and of all is here, who brings it, how fast and how long yet', async (t) => {
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

test('what cannot be had is told in one sentence each, and the others are stored', async (t) => {
  const fine = upstream.addImage('fine', 'v1')
  const broken = upstream.addImage('broken', 'v1')
  upstream.fault(broken.layers[0] ?? '', { status: 404 })
  const single = upstream.addImage('single', 'v1')
  addIndex('onlythere', 'v1', [{ image: single.manifest, platform: { os: 'linux', architecture: there } }])
  const node = await Node.start(t, upstream, { allow: ['up.test/**', '127.0.0.1:1/*'] })
  const table: readonly [string, RegExp][] = [
    ['up.test/fine:v9', /^up\.test\/fine has no tag v9; check the tag$/],
    ['up.test/fnie:v1', /^up\.test\/fnie:v1 is not there: .*\(status 404\); check the name$/],
    ['up.test/broken:v1', /^up\.test\/broken:v1 is not whole upstream: .*\(status 404\)$/],
    ['up.test/onlythere:v1', new RegExp(`has nothing for linux/${here}; it has linux/${there}$`)],
    [`up.test/fine@sha256:${'0'.repeat(64)}`, /is not there: .*; check the name$/],
    ['other.test/app:v1', /is not among what this agent may serve; see --allow$/],
    ['127.0.0.1:1/app:v1', /^127\.0\.0\.1:1\/app:v1 could not be had: /],
  ]
  const { images, done } = await node.warm({ images: ['up.test/fine:v1', ...table.map(([image]) => image)] })
  assert.deepEqual([done.images, done.failed], [table.length + 1, table.length])
  for (const [image, expected] of table) {
    const { error } = images.find((one) => one.image === image) ?? assert.fail(image)
    assert.match(error ?? '', expected)
  }
  assert.equal(images.find(({ error }) => error === null)?.digest, fine.manifest)
  const wrong = await node.refused('up.test/single:v1', { platforms: ['linux/riscv64'] })
  assert.match(wrong, /^up\.test\/single:v1 has nothing for linux\/riscv64; it has linux\/amd64$/)
})

test('a private image comes with the credentials that are configured, and without them says what it wants', async (t) => {
  const app = upstream.addImage('private', 'v1')
  upstream.requireBasic('ann', 'secret')
  const bare = await Node.start(t, upstream)
  assert.match(
    await bare.refused('up.test/private:v1'),
    /is not there, or not for everybody: .*; check the name, and the credentials for up\.test under upstreams$/,
  )
  const entry = { namespace: 'up.test', hosts: [upstream.host], tls: false }
  const entries = [{ ...entry, username: 'ann', password: 'secret' }]
  const node = await Node.start(t, upstream, { upstreams: { entries } })
  assert.equal((await node.warm({ images: ['up.test/private:v1'] })).done.failed, 0)
  assert.deepEqual(new Set(await node.held()), new Set(digestsOf(app)))
})

test('what needs more room than there may be is not begun, and says so', async (t) => {
  const big = upstream.addImage('big', 'v1', [randomBytes(3 * MIB)])
  const node = await Node.start(t, upstream, { maxBytes: { bytes: 2 * MIB } })
  assert.match(
    await node.refused('up.test/big:v1'),
    /^up\.test\/big:v1 needs 3\.0 MiB, and at most 2\.0 MiB are kept here; raise --max-bytes, or warm less$/,
  )
  assert.equal(upstream.count(big.layers[0] ?? ''), 0)
})

test('what cannot be kept although it should fit says so, and is not fetched to its end', async (t) => {
  const [first, big] = [
    upstream.addImage('first', 'v1', [randomBytes(3 * MIB)]),
    upstream.addImage('second', 'v1', [randomBytes(3 * MIB)]),
  ]
  const node = await Node.start(t, upstream, { maxBytes: { bytes: 4 * MIB } })
  assert.equal((await node.warm({ images: ['up.test/first:v1'], pin: true })).done.failed, 0)
  upstream.fault(big.layers[0] ?? '', { stallAt: 64 * KIB })
  assert.match(
    await node.refused('up.test/second:v1'),
    /^up\.test\/second:v1 cannot be kept: there is no room for \d+ bytes; make room on the disk, or raise --max-bytes$/,
  )
  assert.ok(upstream.bytesSent(big.layers[0] ?? '') <= 64 * KIB)
  const held = await node.held()
  assert.ok(digestsOf(first).every((digest) => held.includes(digest)))
})

test('a manifest that cannot be kept says so, also when it is in memory', async (t) => {
  const app = upstream.addImage('tiny', 'v1')
  const node = await Node.start(t, upstream, { maxBytes: { bytes: 200 } })
  const { port } = node.agent.addresses.registry
  const pulled = await fetch(`http://127.0.0.1:${port}/v2/up.test/tiny/manifests/${app.manifest}`)
  assert.equal(pulled.status, 200)
  await pulled.arrayBuffer()
  assert.match(await node.refused('up.test/tiny:v1'), /^up\.test\/tiny:v1 cannot be kept: there is no room/)
})

test('while upstream is away, an image that is here is warm as it was', async (t) => {
  upstream.addImage('away', 'v1')
  const entry = { namespace: 'up.test', hosts: [upstream.host], tls: false, tagTtlMs: 0 }
  const node = await Node.start(t, upstream, { upstreams: { entries: [entry] } })
  assert.equal((await node.warm({ images: ['up.test/away:v1'] })).images[0]?.stale, false)
  upstream.fault('v1', { status: 503 })
  const { images, done } = await node.warm({ images: ['up.test/away:v1'] })
  assert.deepEqual([done.failed, images[0]?.stale, done.hereBytes], [0, true, done.bytes])
})

test('layers that no registry has are left to the runtime, and told', async (t) => {
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
  assert.deepEqual(new Set(await node.held()), new Set([digest, own]))
})

test('whoever leaves stops the walk, what is under way comes to its end, and the next run goes on', async (t) => {
  const node = await Node.start(t, upstream)
  const app = upstream.addImage(
    'left',
    'v1',
    Array.from({ length: 12 }, () => randomBytes(100 * KIB)),
  )
  for (const layer of app.layers) upstream.fault(layer, { stallAt: 50 * KIB, times: 1 })
  const leaving = new AbortController()
  const response = await node.post({ images: ['up.test/left:v1'] }, leaving)
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
  leaving.abort()
  await response.body?.cancel().catch(() => {})
  upstream.heal()
  upstream.release()
  await stored
  const { done } = await node.warm({ images: ['up.test/left:v1'] })
  assert.equal(done.failed, 0)
  for (const layer of app.layers) assert.equal(upstream.bytesSent(layer), 100 * KIB)
})

test('an agent that stops ends what is asked of it with a reason', async (t) => {
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

test('a registry that asks to come back later is asked again', async (t) => {
  const app = upstream.addImage('busy', 'v1')
  upstream.fault(app.config, { status: 429, headers: { 'retry-after': '0' }, times: 1 })
  const node = await Node.start(t, upstream)
  assert.equal((await node.warm({ images: ['up.test/busy:v1'] })).done.failed, 0)
})

test('what makes no sense is refused before anything is begun', async (t) => {
  const node = await Node.start(t, upstream)
  const table: readonly [object, number, RegExp][] = [
    [{ images: ['UP/case'] }, 400, /not an image name/],
    [{ images: [] }, 400, /images/],
    [{ images: ['a'], platforms: ['linux'] }, 400, /\\"linux\\" is not a platform/],
    [{ images: ['a'], platforms: ['all', 'linux/amd64'] }, 400, /all platforms are asked for/],
    [{ images: ['a'], pni: true }, 400, /pni/],
  ]
  for (const [request, status, expected] of table) {
    const response = await node.post(request)
    assert.equal(response.status, status)
    assert.match(await response.text(), expected)
  }
})
