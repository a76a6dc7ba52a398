import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { AgentOptions } from '../../../src/agent.ts'
import type { ObjectStoreOptions } from '../../../src/object-store/options/store-options.ts'
import { subscribe } from '../../../src/observe/events.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import type { FakeS3 } from '../../../testkit/object-store/fake-s3.ts'
import { TEST_KEYS } from '../../../testkit/object-store/servers.ts'
import type { FaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { MIB, type RunningAgent, startAgent, startUpstream } from '../../agent/running-agent.ts'
import { folder } from '../../store/folder.ts'
import { startFake } from '../bucket-fixture.ts'
import { dataKey, layerLink, manifestLink, tagLink } from '../filled-bucket.ts'

interface Lab {
  readonly fake: FakeS3
  readonly upstream: FaultyUpstream
  start(options?: Partial<ObjectStoreOptions>, agent?: Partial<AgentOptions>): Promise<RunningAgent>
}

async function setUp(t: TestContext): Promise<Lab> {
  const fake = await startFake(t)
  const upstream = await startUpstream(t)
  const start: Lab['start'] = (options = {}, agent = {}) => {
    const { endpoint } = fake
    const objectStore = { bucket: 'images', prefix: 'cache', endpoint, environment: TEST_KEYS, ...options }
    return startAgent(t, { upstream, objectStore, ...agent })
  }
  return { fake, upstream, start }
}

/** Resolves when the object is in the bucket. */
function until(fake: FakeS3, isDone: () => boolean): Promise<void> {
  if (isDone()) return Promise.resolve()
  return new Promise((resolve) => {
    fake.objects.onChange = () => {
      if (isDone()) resolve()
    }
  })
}

function isThere(fake: FakeS3, ...keys: readonly string[]): boolean {
  return keys.every((key) => fake.objects.get(key) !== undefined)
}

async function pull(running: RunningAgent, digests: readonly Digest[]): Promise<void> {
  assert.equal((await running.get('app/manifests/1')).status, 200)
  for (const digest of digests) assert.equal((await running.getBlob(digest)).status, 200)
}

test('what came from upstream is uploaded with its links, the tag last', async (t) => {
  const { fake, upstream, start } = await setUp(t)
  const { manifest, config, layers } = upstream.addImage('app', '1', [randomBytes(100_000)])
  const blobs = [config, ...layers]
  await pull(await start(), blobs)
  const tag = tagLink('up.test/app', '1')
  const keys = [
    ...[...blobs, manifest].map(dataKey),
    ...blobs.map((digest) => layerLink('up.test/app', digest)),
    manifestLink('up.test/app', manifest),
    tag,
  ]
  await until(fake, () => isThere(fake, ...keys))
  assert.equal(fake.objects.get(tag)?.bytes.toString(), manifest)
  const puts = fake.requests.filter(({ method }) => method === 'PUT').map(({ key }) => key)
  assert.ok(puts.indexOf(dataKey(manifest)) < puts.indexOf(manifestLink('up.test/app', manifest)))
  assert.ok(puts.indexOf(manifestLink('up.test/app', manifest)) < puts.indexOf(tag))
})

test('another agent with an empty disk then pulls all of it from the bucket', async (t) => {
  const { fake, upstream, start } = await setUp(t)
  const { manifest, config, layers } = upstream.addImage('app', '1', [randomBytes(100_000)])
  await pull(await start(), [config, ...layers])
  await until(fake, () =>
    isThere(
      fake,
      tagLink('up.test/app', '1'),
      ...[config, ...layers].map((each) => layerLink('up.test/app', each)),
    ),
  )
  const before = [manifest, config, ...layers].map((digest) => upstream.bytesSent(digest))
  upstream.fault('app/manifests/1', { status: 503 })
  const puts = fake.requests.filter(({ method }) => method === 'PUT').length
  await pull(await start(), [config, ...layers])
  assert.deepEqual(
    [manifest, config, ...layers].map((digest) => upstream.bytesSent(digest)),
    before,
  )
  // What came from the bucket is not sent to it again.
  assert.equal(fake.requests.filter(({ method }) => method === 'PUT').length, puts)
})

test('old bytes that get their first link are made young before, and so is an old link', async (t) => {
  const { fake, upstream, start } = await setUp(t)
  const bytes = [randomBytes(1000), randomBytes(2000)] as const
  const { config, layers } = upstream.addImage('app', '1', bytes)
  const [unlinked, linked] = layers
  assert.ok(unlinked !== undefined && linked !== undefined)
  const old = Date.now() - 30 * 86_400_000
  fake.objects.put(dataKey(unlinked), bytes[0], old)
  fake.objects.put(dataKey(linked), bytes[1], old)
  fake.objects.put(layerLink('up.test/app', linked), Buffer.from(linked), old)
  // The bucket is asked for nothing, so that the bytes come from upstream and are to be uploaded.
  fake.faultOf = ({ method, headers }) =>
    method === 'GET' && headers.range !== undefined
      ? { kind: 'error', status: 404, code: 'NoSuchKey' }
      : undefined
  await pull(await start(), [config, ...layers])
  await until(fake, () => isThere(fake, tagLink('up.test/app', '1'), layerLink('up.test/app', unlinked)))
  await until(fake, () => (fake.objects.get(layerLink('up.test/app', linked))?.modifiedAt ?? old) > old)
  assert.ok((fake.objects.get(dataKey(unlinked))?.modifiedAt ?? old) > old)
})

test('old bytes that the server does not let be copied onto themselves are sent again before their first link', async (t) => {
  const { fake, upstream, start } = await setUp(t)
  const bytes = randomBytes(1000)
  const { config, layers } = upstream.addImage('app', '1', [bytes])
  const [layer = assert.fail()] = layers
  const old = Date.now() - 30 * 86_400_000
  fake.objects.put(dataKey(layer), bytes, old)
  fake.faultOf = ({ headers }) =>
    headers['x-amz-copy-source'] === undefined
      ? undefined
      : { kind: 'error', status: 403, code: 'AccessDenied' }
  await pull(await start(), [config, layer])
  await until(fake, () => isThere(fake, layerLink('up.test/app', layer)))
  assert.ok((fake.objects.get(dataKey(layer))?.modifiedAt ?? old) > old)
})

test('what a crash has left on disk without an entry is uploaded when upstream confirms its tag', async (t) => {
  const { fake, upstream, start } = await setUp(t)
  const { manifest, config, layers } = upstream.addImage('app', '1', [randomBytes(100_000)])
  const data = await folder(t)
  const first = await start({ fill: 'none' }, { data })
  await pull(first, [config, ...layers])
  await first.stop()
  // As after a crash between a file and its entry in the index.
  await rm(join(data, 'index'), { recursive: true })
  const recovered = new Promise<number>((resolve) => {
    const unsubscribe = subscribe('store.recovered', ({ adopted }) => {
      if (adopted > 0) resolve(adopted)
    })
    t.after(unsubscribe)
  })
  const second = await start({}, { data })
  assert.ok((await recovered) > 0)
  await pull(second, [config, ...layers])
  await until(fake, () =>
    isThere(
      fake,
      tagLink('up.test/app', '1'),
      ...[manifest, config, ...layers].map(dataKey),
      ...[config, ...layers].map((digest) => layerLink('up.test/app', digest)),
    ),
  )
})

test('uploads of a node are no faster than the settings say', async (t) => {
  const { fake, upstream, start } = await setUp(t)
  const digest = upstream.addBlob(randomBytes(300_000))
  const startedAt = performance.now()
  await (await start({ uploadRate: 200_000 })).getBlob(digest)
  await until(fake, () => isThere(fake, dataKey(digest)))
  // A limiter that was idle grants the bytes of a tenth of a second at once, and one quantum before it counts.
  assert.ok(performance.now() - startedAt > 1000)
})

test('a large blob is uploaded in parts, and under its key only when it is complete', async (t) => {
  const { fake, upstream, start } = await setUp(t)
  const bytes = randomBytes(17 * MIB)
  const digest = upstream.addBlob(bytes)
  await (await start()).getBlob(digest)
  await until(fake, () => isThere(fake, layerLink('up.test/app', digest)))
  assert.deepEqual(fake.objects.get(dataKey(digest))?.bytes.equals(bytes), true)
  const parts = fake.requests.filter(({ query }) => query.includes('partNumber'))
  assert.equal(parts.length, 3)
  assert.deepEqual(fake.objects.uploads(), [])
})

test('an upload that was interrupted is continued with the parts that are right', async (t) => {
  const { fake, upstream, start } = await setUp(t)
  const bytes = randomBytes(17 * MIB)
  const digest = upstream.addBlob(bytes)
  const upload = fake.objects.start(dataKey(digest))
  fake.objects.putPart(upload, 1, bytes.subarray(0, 8 * MIB))
  fake.objects.putPart(upload, 2, randomBytes(8 * MIB))
  await (await start()).getBlob(digest)
  await until(fake, () => isThere(fake, layerLink('up.test/app', digest)))
  assert.equal(fake.objects.get(dataKey(digest))?.bytes.equals(bytes), true)
  const sent = fake.requests.flatMap(({ query }) => /partNumber=(\d+)/.exec(query)?.[1] ?? [])
  assert.deepEqual(sent, ['2', '3'])
})

test('what a stopped agent has not uploaded is found in its store at the next start', async (t) => {
  const { fake, upstream, start } = await setUp(t)
  const digest = upstream.addBlob(randomBytes(1000))
  fake.faultOf = ({ method }) =>
    method === 'PUT' ? { kind: 'error', status: 503, code: 'SlowDown' } : undefined
  const data = await folder(t)
  const first = await start({}, { data })
  await first.getBlob(digest)
  await first.stop()
  fake.faultOf = () => undefined
  await start({}, { data })
  await until(fake, () => isThere(fake, layerLink('up.test/app', digest)))
})

test('what the search of the store finds does not make old links young', async (t) => {
  const { fake, upstream, start } = await setUp(t)
  const [found, missing] = [upstream.addBlob(randomBytes(1000)), upstream.addBlob(randomBytes(1000))]
  const data = await folder(t)
  const first = await start({}, { data })
  for (const digest of [found, missing]) await first.getBlob(digest)
  const link = layerLink('up.test/app', found)
  await until(fake, () => isThere(fake, link, layerLink('up.test/app', missing)))
  await first.stop()
  const old = Date.now() - 30 * 86_400_000
  fake.objects.put(link, Buffer.from(found), old)
  fake.objects.delete(layerLink('up.test/app', missing))
  const done = new Set<Digest>()
  const bothDone = new Promise<void>((resolve) => {
    t.after(
      subscribe('object-store.uploaded', ({ digest }) => {
        if (done.add(digest).size === 2) resolve()
      }),
    )
  })
  await start({}, { data })
  await bothDone
  assert.ok(isThere(fake, layerLink('up.test/app', missing)))
  assert.equal(fake.objects.get(link)?.modifiedAt, old)
})

test('a wrong object is replaced by what upstream has', async (t) => {
  const { fake, upstream, start } = await setUp(t)
  const bytes = randomBytes(1000)
  const digest = upstream.addBlob(bytes)
  fake.objects.put(dataKey(digest), randomBytes(1000))
  fake.objects.put(layerLink('up.test/app', digest), Buffer.from(digest))
  assert.deepEqual((await (await start()).getBlob(digest)).body, bytes)
  await until(fake, () => fake.objects.get(dataKey(digest))?.bytes.equals(bytes) === true)
})

test('uploads that fail are told once, and tried again', async (t) => {
  const { fake, upstream, start } = await setUp(t)
  const problems: (string | undefined)[] = []
  t.after(subscribe('object-store.uploads-failing', ({ problem }) => problems.push(problem)))
  let refusals = 2
  fake.faultOf = ({ method }) => {
    if (method !== 'PUT' || refusals === 0) return undefined
    refusals -= 1
    return { kind: 'error', status: 503, code: 'SlowDown' }
  }
  const digest = upstream.addBlob(randomBytes(1000))
  await (await start({ uploadConcurrency: 1 })).getBlob(digest)
  await until(fake, () => isThere(fake, layerLink('up.test/app', digest)))
  assert.match(problems[0] ?? '', /SlowDown/)
  assert.equal(problems.filter((problem) => problem !== undefined).length, 1)
})

test('the settings say what is uploaded', async (t) => {
  const { fake, upstream, start } = await setUp(t)
  const { config, layers, manifest } = upstream.addImage('app', '1')
  const other = upstream.addImage('other', '1')
  const running = await start({ fillNames: ['up.test/app'], fillAfterPulls: 2 })
  await running.get('other/manifests/1')
  await pull(running, [config, ...layers])
  assert.deepEqual(fake.objects.keys(), [])
  await pull(running, [])
  await until(fake, () =>
    isThere(fake, layerLink('up.test/app', config), manifestLink('up.test/app', manifest)),
  )
  assert.equal(isThere(fake, dataKey(other.manifest)), false)
})

test('uploads that nobody has continued for a day are removed', async (t) => {
  const { fake, start } = await setUp(t)
  const root = 'cache/docker/registry/v2/blobs/sha256/aa/old/data'
  fake.objects.start(root, Date.now() - 25 * 3_600_000)
  const young = fake.objects.start(`${root}2`)
  await start()
  await until(fake, () => fake.objects.uploads().length === 1)
  assert.equal(fake.objects.uploads()[0]?.id, young.id)
})
