import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Expired, Expiry } from '../../../src/object-store/expiry/expiry.ts'
import { ExpiryRules } from '../../../src/object-store/expiry/expiry-rules.ts'
import { DistributionLayout } from '../../../src/object-store/layout/distribution.ts'
import type { ExpiryRule } from '../../../src/object-store/options/store-options.ts'
import type { FakeS3 } from '../../../testkit/object-store/fake-s3.ts'
import { sha256 } from '../../../testkit/registries/faulty/content.ts'
import { NEVER, openBucket, startFake } from '../bucket-fixture.ts'
import {
  type BucketImage,
  dataKey,
  fillBucket,
  layerLink,
  makeImage,
  manifestLink,
  tagLink,
} from '../filled-bucket.ts'

const DAY_MS = 86_400_000
const GRACE_MS = 7 * DAY_MS
const APP = 'up.test/app'
const LOCK = 'cache/leat/expiry-lock'

interface RunOptions {
  readonly rules?: readonly ExpiryRule[]
  readonly isDryRun?: boolean
  readonly registry?: string
}

/** Collects the garbage of the bucket, and gives what the run says. */
async function expire(
  t: TestContext,
  { endpoint }: FakeS3,
  { rules = [], isDryRun = false, registry }: RunOptions = {},
): Promise<readonly Expired[]> {
  const bucket = openBucket(t, { endpoint })
  const layout = new DistributionLayout({ registry })
  const expiry = new Expiry({
    bucket,
    layout,
    rules: new ExpiryRules(rules),
    graceMs: GRACE_MS,
    isDryRun,
  })
  const lines: Expired[] = []
  for await (const line of expiry.run(NEVER)) lines.push(line)
  return lines
}

/** Makes all objects that are there so old. */
function age(fake: FakeS3, days: number, isMeant: (key: string) => boolean = () => true): void {
  for (const key of fake.objects.keys().filter(isMeant)) {
    fake.objects.put(key, fake.objects.get(key)?.bytes ?? Buffer.alloc(0), Date.now() - days * DAY_MS)
  }
}

/** Puts a manifest that is under no tag into the bucket. */
function putManifest(fake: FakeS3, repository: string, content: object): BucketImage['manifest'] {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, ...content }))
  const digest = sha256(bytes)
  fake.objects.put(dataKey(digest), bytes)
  fake.objects.put(manifestLink(repository, digest), Buffer.from(digest))
  return { bytes, digest }
}

/** The keys of an image, without its tag. */
function keysOf(repository: string, { manifest, blobs }: BucketImage): readonly string[] {
  return [
    manifestLink(repository, manifest.digest),
    dataKey(manifest.digest),
    ...blobs.flatMap(({ digest }) => [layerLink(repository, digest), dataKey(digest)]),
  ]
}

test('what a tag needs stays, and what no tag needs goes when it is old enough', async (t) => {
  const fake = await startFake(t)
  const [tagged, old, young] = [makeImage(), makeImage(), makeImage()]
  fillBucket(fake, APP, '1', tagged)
  fillBucket(fake, APP, '2', old)
  fake.objects.delete(tagLink(APP, '2'))
  age(fake, 30)
  fillBucket(fake, APP, '2', young)
  fake.objects.delete(tagLink(APP, '2'))
  const lines = await expire(t, fake)
  const left = [...keysOf(APP, tagged), ...keysOf(APP, young), tagLink(APP, '1')].sort()
  assert.deepEqual(fake.objects.keys(), left)
  assert.deepEqual(
    new Set(lines.flatMap((line) => (line.is === 'skipped' ? [] : [`${line.is} ${line.digest}`]))),
    new Set([old.manifest, ...old.blobs].flatMap(({ digest }) => [`unlinked ${digest}`, `freed ${digest}`])),
  )
})

test('bytes that another repository has stay', async (t) => {
  const fake = await startFake(t)
  const image = makeImage()
  fillBucket(fake, APP, '1', image)
  fillBucket(fake, 'up.test/team/other', '1', image)
  fake.objects.delete(tagLink(APP, '1'))
  age(fake, 30)
  const lines = await expire(t, fake)
  assert.deepEqual(
    fake.objects.keys(),
    [...keysOf('up.test/team/other', image), tagLink('up.test/team/other', '1')].sort(),
  )
  assert.ok(lines.every(({ is }) => is === 'unlinked'))
})

test('a dry run names what a run removes, and removes nothing', async (t) => {
  const fake = await startFake(t)
  fillBucket(fake, APP, 'v1', makeImage())
  fillBucket(fake, APP, 'old', makeImage())
  age(fake, 30)
  const before = fake.objects.keys()
  const rules = [{ names: ['up.test/*'], keepTags: ['v*'] }]
  const dry = await expire(t, fake, { rules, isDryRun: true })
  assert.deepEqual(fake.objects.keys(), before)
  assert.deepEqual(await expire(t, fake, { rules }), dry)
  assert.deepEqual(dry[0], {
    is: 'tag',
    repository: APP,
    tag: 'old',
    digest: dry[0]?.is === 'tag' ? dry[0].digest : undefined,
    why: 'kept by no condition of the rule for up.test/*',
  })
  assert.ok(fake.objects.keys().includes(tagLink(APP, 'v1')))
  assert.ok(!fake.objects.keys().includes(tagLink(APP, 'old')))
  assert.equal(fake.objects.keys().length, before.length / 2)
})

test('an index keeps its manifests, of which the bucket need not have all, and a referrer stays with its subject', async (t) => {
  const fake = await startFake(t)
  const [image, unneeded] = [makeImage(), makeImage()]
  fillBucket(fake, APP, 'x', image)
  fake.objects.delete(tagLink(APP, 'x'))
  const missing = sha256('of another platform')
  const index = putManifest(fake, APP, {
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [image.manifest.digest, missing].map((digest) => ({
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest,
      size: 500,
    })),
  })
  fake.objects.put(tagLink(APP, '1'), Buffer.from(index.digest))
  const referrer = (subject: string) =>
    putManifest(fake, APP, {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: sha256('{}'), size: 2 },
      layers: [],
      subject: { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: subject, size: 500 },
    })
  const signature = referrer(image.manifest.digest)
  const lonely = referrer(unneeded.manifest.digest)
  age(fake, 30)
  await expire(t, fake)
  const keys = fake.objects.keys()
  for (const key of keysOf(APP, image)) assert.ok(keys.includes(key))
  assert.ok(keys.includes(manifestLink(APP, signature.digest)))
  assert.ok(!keys.includes(manifestLink(APP, lonely.digest)))
})

test('a repository with a tagged manifest that cannot be read stays as it is', async (t) => {
  const fake = await startFake(t)
  const [broken, unneeded] = [makeImage(), makeImage()]
  fillBucket(fake, APP, '2', unneeded)
  fake.objects.delete(tagLink(APP, '2'))
  fillBucket(fake, APP, '1', broken)
  fake.objects.put(dataKey(broken.manifest.digest), Buffer.from('{}'))
  age(fake, 30)
  const before = fake.objects.keys()
  const [line, ...others] = await expire(t, fake)
  assert.deepEqual([line?.is, others, fake.objects.keys()], ['skipped', [], before])
})

test('a tag that is set while a run looks at its repository keeps what it needs', async (t) => {
  const fake = await startFake(t)
  const [tagged, other] = [makeImage(), makeImage()]
  fillBucket(fake, APP, '1', tagged)
  fillBucket(fake, APP, '2', other)
  fake.objects.delete(tagLink(APP, '2'))
  age(fake, 30)
  fake.faultOf = ({ key }) => {
    if (key === dataKey(other.manifest.digest))
      fake.objects.put(tagLink(APP, '3'), Buffer.from(other.manifest.digest))
    return undefined
  }
  const lines = await expire(t, fake)
  assert.deepEqual(lines, [{ is: 'skipped', repository: APP, why: 'its tags have changed meanwhile' }])
  for (const key of keysOf(APP, other)) assert.ok(fake.objects.get(key) !== undefined)
})

test('an object that becomes young during a run stays', async (t) => {
  const fake = await startFake(t)
  const image = makeImage()
  fillBucket(fake, APP, '1', image)
  fake.objects.delete(tagLink(APP, '1'))
  age(fake, 30)
  const layer = image.blobs[1]
  assert.ok(layer !== undefined)
  const link = layerLink(APP, layer.digest)
  fake.faultOf = ({ method, key }) => {
    if (method === 'DELETE' && key === manifestLink(APP, image.manifest.digest))
      fake.objects.put(link, Buffer.from(layer.digest))
    return undefined
  }
  await expire(t, fake)
  assert.deepEqual(fake.objects.keys(), [dataKey(layer.digest), link].sort())
})

test('one process at a time removes content, and one that has died is not waited for', async (t) => {
  const fake = await startFake(t)
  const image = makeImage()
  fillBucket(fake, APP, '1', image)
  fake.objects.delete(tagLink(APP, '1'))
  age(fake, 30)
  fake.objects.put(LOCK, Buffer.from('another process'))
  await assert.rejects(expire(t, fake), {
    code: 'busy',
    message: /^Another process has been collecting the garbage of s3:\/\/images\/cache since 20/,
  })
  assert.ok(fake.objects.keys().length > 2)
  // A dry run changes nothing, and needs no lock.
  assert.ok((await expire(t, fake, { isDryRun: true })).length > 0)
  fake.objects.put(LOCK, Buffer.from('another process'), Date.now() - 20 * 60_000)
  await expire(t, fake)
  assert.deepEqual(fake.objects.keys(), [])
})

test('of two that take an abandoned lock at the same time, one goes on', async (t) => {
  const fake = await startFake(t)
  let isFirst = true
  fake.objects.put(LOCK, Buffer.from('dead'), Date.now() - 20 * 60_000)
  fake.objects.onChange = () => {
    if (!isFirst || fake.objects.get(LOCK)?.bytes.toString() === 'dead') return
    isFirst = false
    fake.objects.put(LOCK, Buffer.from('the other one'))
  }
  await assert.rejects(expire(t, fake), { code: 'busy' })
  assert.equal(fake.objects.get(LOCK)?.bytes.toString(), 'the other one')
})

test('the bucket of one registry is collected by the names that its images have', async (t) => {
  const fake = await startFake(t)
  fillBucket(fake, 'team/app', 'old', makeImage())
  age(fake, 30)
  const rules = [{ names: ['reg.test/team/*'], keepForMs: 10 * DAY_MS }]
  const [line] = await expire(t, fake, { rules, registry: 'reg.test' })
  assert.deepEqual([line?.is, fake.objects.keys()], ['tag', []])
})
