import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import type { AgentOptions } from '../../../src/agent.ts'
import type { ObjectStoreOptions } from '../../../src/object-store/options/store-options.ts'
import { subscribe } from '../../../src/observe/events.ts'
import type { FakeS3 } from '../../../testkit/object-store/fake-s3.ts'
import { TEST_KEYS } from '../../../testkit/object-store/servers.ts'
import { sha256 } from '../../../testkit/registries/faulty/content.ts'
import type { FaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { MIB, PATIENCE, type RunningAgent, startAgent, startUpstream } from '../../agent/running-agent.ts'
import { startFake } from '../bucket-fixture.ts'
import { type BucketImage, dataKey, fillBucket, layerLink, makeImage } from '../filled-bucket.ts'

interface Lab {
  readonly fake: FakeS3
  readonly upstream: FaultyUpstream
  readonly running: RunningAgent
}

async function setUp(
  t: TestContext,
  store: Partial<ObjectStoreOptions> = {},
  options: Partial<AgentOptions> = {},
): Promise<Lab> {
  const fake = await startFake(t)
  const upstream = await startUpstream(t)
  const objectStore = {
    bucket: 'images',
    prefix: 'cache',
    endpoint: fake.endpoint,
    environment: TEST_KEYS,
    fill: 'none',
    ...store,
  } as const
  const running = await startAgent(t, { upstream, objectStore, ...options })
  return { fake, upstream, running }
}

/** The image is upstream, too. */
function addUpstream(upstream: FaultyUpstream, { manifest, blobs }: BucketImage): void {
  for (const { bytes } of blobs) upstream.addBlob(bytes)
  upstream.addManifest('app', '1', manifest.bytes)
}

async function pull(running: RunningAgent, { manifest, blobs }: BucketImage): Promise<void> {
  const tag = await running.get('app/manifests/1')
  assert.deepEqual([tag.status, sha256(tag.body)], [200, manifest.digest])
  for (const { digest } of blobs) {
    const answer = await running.getBlob(digest)
    assert.deepEqual([answer.status, sha256(answer.body)], [200, digest])
  }
}

test('an image in the bucket is pulled without one byte from upstream, and says so', async (t) => {
  const { fake, upstream, running } = await setUp(t)
  const image = makeImage([3 * MIB, 70_000])
  fillBucket(fake, 'up.test/app', '1', image)
  upstream.addManifest('app', '1', image.manifest.bytes)
  await pull(running, image)
  assert.equal(
    image.blobs.reduce((sum, { digest }) => sum + upstream.bytesSent(digest), 0),
    0,
  )
  assert.equal(upstream.bytesSent(image.manifest.digest), 0)
  const hit = await running.get(`app/manifests/${image.manifest.digest}`)
  assert.equal(hit.headers['content-type'], 'application/vnd.oci.image.manifest.v1+json')
})

test('the first answer names the object store in Cache-Status', async (t) => {
  const { fake, running } = await setUp(t)
  const image = makeImage([200_000])
  fillBucket(fake, 'up.test/app', '1', image)
  const answer = await running.getBlob(image.blobs[1]?.digest ?? image.manifest.digest)
  assert.equal(answer.headers['cache-status'], 'leat; fwd=uri-miss; detail=object-store')
})

test('with upstream down everything that the bucket has is pulled, tags too', async (t) => {
  const { fake, upstream, running } = await setUp(t)
  const image = makeImage([100_000])
  fillBucket(fake, 'up.test/app', '1', image)
  upstream.fault('app/manifests/1', { status: 503 })
  upstream.fault('tags/list', { status: 503 })
  await pull(running, image)
  const tags = await running.get('app/tags/list')
  assert.deepEqual(JSON.parse(tags.body.toString()).tags, ['1'])
})

test('a large blob is read by several ranges at a time', async (t) => {
  const { fake, running } = await setUp(t)
  const image = makeImage([11 * MIB + 17])
  fillBucket(fake, 'up.test/app', '1', image)
  const layer = image.blobs[1]
  assert.ok(layer !== undefined)
  assert.equal(sha256((await running.getBlob(layer.digest)).body), layer.digest)
  const ranges = fake.requests
    .filter(({ method, key }) => method === 'GET' && key === dataKey(layer.digest))
    .map(({ headers }) => String(headers.range))
    // Requests that are sent at the same time arrive in any order.
    .sort((one, other) => Number(/\d+/.exec(one)) - Number(/\d+/.exec(other)))
  assert.deepEqual(
    ranges,
    [0, 2, 4, 6, 8, 10].map((start) => {
      const end = Math.min((start + 2) * MIB, layer.bytes.length)
      return `bytes=${start * MIB}-${(start === 0 ? 2 * MIB : end) - 1}`
    }),
  )
})

test('empty content is read', async (t) => {
  const { fake, running } = await setUp(t)
  const digest = sha256('')
  fake.objects.put(dataKey(digest), Buffer.alloc(0))
  fake.objects.put(layerLink('up.test/app', digest), Buffer.from(digest))
  const answer = await running.getBlob(digest)
  assert.deepEqual([answer.status, answer.body.length], [200, 0])
})

test('a digest without a link in the repository is not read from the bucket', async (t) => {
  const { fake, running } = await setUp(t)
  const image = makeImage([1000])
  fillBucket(fake, 'up.test/other', '1', image)
  const answer = await running.getBlob(image.blobs[1]?.digest ?? image.manifest.digest)
  assert.equal(answer.status, 404)
})

test('a wrong object is refused and named, and the bytes come from upstream', async (t) => {
  const { fake, upstream, running } = await setUp(t)
  const image = makeImage([1000])
  fillBucket(fake, 'up.test/app', '1', image)
  addUpstream(upstream, image)
  const layer = image.blobs[1]
  assert.ok(layer !== undefined)
  const wrong: string[] = []
  t.after(subscribe('verify.failed', ({ digest, source }) => digest === layer.digest && wrong.push(source)))
  fake.objects.put(dataKey(layer.digest), randomBytes(1000))
  await pull(running, image)
  assert.deepEqual(wrong, ['s3://images/cache'])
})

test('of a wrong content that both have brought, the bucket is suspected, and upstream brings all', async (t) => {
  const { fake, upstream, running } = await setUp(t, {}, { patience: { ...PATIENCE, attemptsPerSource: 1 } })
  const layer = randomBytes(MIB)
  const digest = upstream.addBlob(layer)
  fake.objects.put(dataKey(digest), randomBytes(MIB))
  fake.objects.put(layerLink('up.test/app', digest), Buffer.from(digest))
  fake.faultOf = ({ key }) => (key === dataKey(digest) ? { kind: 'cut', after: 300_000 } : undefined)
  const first = await running.getBlob(digest)
  // Who had read wrong bytes gets a short body, and asks again.
  const answer = first.isComplete ? first : await running.getBlob(digest)
  assert.equal(sha256(answer.body), digest)
})

const FAULTS: Readonly<Record<string, (fake: FakeS3) => void>> = {
  'answers 503 SlowDown': (fake) => {
    fake.faultOf = () => ({ kind: 'error', status: 503, code: 'SlowDown' })
  },
  'does not answer': (fake) => {
    fake.faultOf = () => ({ kind: 'silent' })
  },
  'stalls within bodies': (fake) => {
    fake.faultOf = ({ key }) => (key.endsWith('/data') ? { kind: 'stall', after: 10 } : undefined)
  },
  'breaks off': (fake) => {
    fake.faultOf = ({ key }) => (key.endsWith('/data') ? { kind: 'cut', after: 10 } : undefined)
  },
  'has another clock': (fake) => {
    fake.clockAheadMs = 3_600_000
  },
  'refuses expired credentials': (fake) => {
    fake.expiredKeys.add(TEST_KEYS.AWS_ACCESS_KEY_ID)
  },
}

for (const [fault, begin] of Object.entries(FAULTS)) {
  test(`a bucket that ${fault} is paused with one warning, and pulls end well from upstream`, async (t) => {
    const { fake, upstream, running } = await setUp(
      t,
      {},
      { patience: { ...PATIENCE, progressTimeoutMs: 200 } },
    )
    const image = makeImage([150_000, 1000, 1001, 1002, 1003])
    fillBucket(fake, 'up.test/app', '1', image)
    addUpstream(upstream, image)
    begin(fake)
    const warnings: string[] = []
    t.after(
      subscribe('object-store.paused', ({ bucket, isPaused, reason }) => {
        if (isPaused && bucket === 's3://images/cache') warnings.push(reason)
      }),
    )
    await pull(running, image)
    assert.equal(warnings.length, 1)
    const asked = fake.requests.length
    const more = upstream.addBlob(randomBytes(500))
    assert.equal(sha256((await running.getBlob(more)).body), more)
    assert.equal(fake.requests.length, asked)
  })
}

test('the bucket of one registry has its repositories without its name, and none of others', async (t) => {
  const { fake, running } = await setUp(t, { registry: 'up.test' })
  const image = makeImage([1000])
  fillBucket(fake, 'app', '1', image)
  assert.equal((await running.getBlob(image.manifest.digest)).status, 404)
  assert.equal((await running.getBlob(image.blobs[0]?.digest ?? image.manifest.digest)).status, 200)
})

test('a bucket of oci-registry is read', async (t) => {
  const { fake, upstream, running } = await setUp(t, { layout: 'oci-registry' })
  const { manifest, blobs } = makeImage([5000])
  for (const { bytes, digest } of blobs) {
    const hex = digest.slice('sha256:'.length)
    fake.objects.put(`cache/blobs/sha256/${hex.slice(0, 2)}/${hex.slice(2)}`, bytes)
  }
  const cached = JSON.stringify({ manifest: [...manifest.bytes], media_type: 'x', digest: manifest.digest })
  for (const reference of ['1', manifest.digest]) {
    fake.objects.put(`cache/manifests/up.test/app/${reference}`, Buffer.from(cached))
  }
  upstream.fault('app/manifests/1', { status: 503 })
  await pull(running, { manifest, blobs })
})

test('a tag in the bucket that is older than what this node knows changes nothing', async (t) => {
  const { fake, upstream, running } = await setUp(t, {}, {})
  const [older, newer] = [makeImage([1000]), makeImage([1001])]
  fillBucket(fake, 'up.test/app', '1', older)
  for (const key of fake.objects.keys()) {
    fake.objects.put(key, fake.objects.get(key)?.bytes ?? Buffer.alloc(0), Date.now() - 86_400_000)
  }
  addUpstream(upstream, newer)
  await pull(running, newer)
  upstream.fault('app/manifests/1', { status: 503 })
  await pull(running, newer)
})
