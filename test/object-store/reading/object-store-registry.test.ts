import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Deferred } from '../../../src/lib/async/deferred.ts'
import { DistributionLayout } from '../../../src/object-store/layout/distribution.ts'
import { BucketNames } from '../../../src/object-store/reading/bucket-names.ts'
import { BucketSource } from '../../../src/object-store/reading/bucket-source.ts'
import { ObjectStoreRegistry } from '../../../src/object-store/reading/object-store-registry.ts'
import { Failure } from '../../../src/ports/failure.ts'
import type { HeadRequestOptions, Registry, TagHead } from '../../../src/ports/registry.ts'
import type { FakeS3 } from '../../../testkit/object-store/fake-s3.ts'
import { NEVER, openBucket, startFake } from '../bucket-fixture.ts'
import { fillBucket, makeImage, tagLink } from '../filled-bucket.ts'

const HOUR_MS = 3_600_000
const REPOSITORY = { registry: 'up.test', name: 'app' }
const [OLD, NEW] = [makeImage(), makeImage()]
const NEW_HEAD: TagHead = { digest: NEW.manifest.digest, mediaType: undefined, size: undefined }

/** A bucket with a link of that age to the old image, and an upstream whose answers the test gives. */
async function setUp(t: TestContext, { ageMs, tagTtlMs }: { ageMs: number; tagTtlMs: number }) {
  const fake = await startFake(t)
  fillBucket(fake, 'up.test/app', '1', OLD)
  setLinkAge(fake, ageMs)
  const bucket = openBucket(t, { endpoint: fake.endpoint })
  const layout = new DistributionLayout({ registry: undefined })
  const source = new BucketSource({ bucket, bodies: bucket.bodies, layout, parallel: 1 })
  const answers: Deferred<TagHead>[] = []
  const unused = () => Promise.reject(new Error('not asked'))
  const upstream: Registry = {
    sources: () => [],
    tag: () => {
      const answer = new Deferred<TagHead>()
      answers.push(answer)
      return answer.promise
    },
    head: () => Promise.reject(new Failure('unavailable', 'upstream is away')),
    tags: () => Promise.reject(new Failure('unavailable', 'upstream is away')),
    referrers: unused,
    isPrivate: unused,
    hasCredentials: unused,
    freshness: () => ({ tagTtlMs, staleIfErrorMs: 10 * HOUR_MS }),
  }
  const registry = new ObjectStoreRegistry({
    upstream,
    source,
    names: new BucketNames({ bucket, layout, source }),
    limits: { upstreamAloneMs: 1, bucketMs: 600_000, lateMs: 600_000 },
  })
  const digest = async () => (await registry.tag(REPOSITORY, '1', NEVER)).digest
  const tags = (options: HeadRequestOptions) => registry.tags(REPOSITORY, options)
  return { fake, answers, digest, tags, head: registry.head.bind(registry) }
}

function setLinkAge(fake: FakeS3, ageMs: number): void {
  const key = tagLink('up.test/app', '1')
  fake.objects.put(key, fake.objects.get(key)?.bytes ?? Buffer.alloc(0), Date.now() - ageMs)
}

for (const [kind, tagTtlMs, requests] of [
  ['at once while it is fresh', HOUR_MS, 1],
  ['instead of the older link when upstream is slow again', 0, 2],
] as const) {
  test(`what upstream has said after the bucket is the next answer, ${kind}`, async (t) => {
    const { answers, digest } = await setUp(t, { ageMs: 2 * HOUR_MS, tagTtlMs })
    assert.equal(await digest(), OLD.manifest.digest)
    answers[0]?.resolve(NEW_HEAD)
    await turn()
    assert.equal(await digest(), NEW.manifest.digest)
    assert.equal(answers.length, requests)
  })
}

test('a link that is younger than the late answer of upstream counts', async (t) => {
  const { fake, answers, digest } = await setUp(t, { ageMs: 2 * HOUR_MS, tagTtlMs: 0 })
  await digest()
  answers[0]?.resolve(NEW_HEAD)
  await turn()
  // The server has the time in whole seconds.
  setLinkAge(fake, -2000)
  assert.equal(await digest(), OLD.manifest.digest)
})

test('after a late refusal of upstream the bucket does not answer in its place', async (t) => {
  const { fake, answers, digest } = await setUp(t, { ageMs: 2 * HOUR_MS, tagTtlMs: HOUR_MS })
  await digest()
  answers[0]?.reject(new Failure('absent', 'gone'))
  await turn()
  const asked = fake.requests.length
  const again = digest()
  again.catch(() => {})
  while (fake.requests.length === asked) await turn()
  answers[1]?.reject(new Failure('unavailable', 'down'))
  await assert.rejects(again, { code: 'unavailable' })
})

test('a link that is older than stale answers may be does not count', async (t) => {
  const { answers, digest } = await setUp(t, { ageMs: 12 * HOUR_MS, tagTtlMs: HOUR_MS })
  const answer = digest()
  answers[0]?.reject(new Failure('unavailable', 'down'))
  await assert.rejects(answer, { code: 'unavailable' })
})

test('upstream alone says whether it has a content when the bucket must not be asked', async (t) => {
  const { head } = await setUp(t, { ageMs: 0, tagTtlMs: 0 })
  const want = { kind: 'manifest', repository: REPOSITORY, digest: OLD.manifest.digest } as const
  await assert.rejects(head(want, { ...NEVER, isAnonymous: true }), { code: 'unavailable' })
  assert.equal((await head(want, NEVER)).size, OLD.manifest.bytes.length)
})

test('upstream alone says which tags there are when the bucket must not be asked', async (t) => {
  const { tags } = await setUp(t, { ageMs: 0, tagTtlMs: 0 })
  await assert.rejects(tags({ ...NEVER, isAnonymous: true }), { code: 'unavailable' })
  assert.deepEqual(await tags(NEVER), ['1'])
})
