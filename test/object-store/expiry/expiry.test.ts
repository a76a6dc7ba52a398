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
  readonly signal?: AbortSignal
  readonly renewLockMs?: number
}

/** Collects the garbage of the bucket, and gives what the run says. */
async function expire(
  t: TestContext,
  { endpoint }: FakeS3,
  { rules = [], isDryRun = false, registry, signal = NEVER.signal, renewLockMs }: RunOptions = {},
): Promise<readonly Expired[]> {
  const bucket = openBucket(t, { endpoint })
  const layout = new DistributionLayout({ registry })
  const expiry = new Expiry({
    bucket,
    layout,
    rules: new ExpiryRules(rules),
    graceMs: GRACE_MS,
    isDryRun,
    ...(renewLockMs === undefined ? {} : { renewLockMs }),
  })
  const lines: Expired[] = []
  for await (const line of expiry.run({ signal })) lines.push(line)
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

test('tags of signatures stay as long as their image, and go with it', async (t) => {
  const fake = await startFake(t)
  const [kept, gone] = [makeImage(), makeImage()]
  fillBucket(fake, APP, 'v1', kept)
  fillBucket(fake, APP, 'old', gone)
  const tagsOf = ({ manifest }: BucketImage) =>
    ['', '.sig', '.att', '.sbom'].map((suffix) => `${manifest.digest.replace(':', '-')}${suffix}`)
  const signatures = tagsOf(kept).map((tag) => {
    const image = makeImage()
    fillBucket(fake, APP, tag, image)
    return image
  })
  // A signature may be signed, too.
  const [first = assert.fail()] = signatures
  fillBucket(fake, APP, tagsOf(first)[1] ?? '', makeImage())
  for (const tag of tagsOf(gone)) fillBucket(fake, APP, tag, makeImage())
  age(fake, 30)
  const lines = await expire(t, fake, { rules: [{ names: ['up.test/*'], keepTags: ['v*'] }] })
  const removed = lines.flatMap((line) => (line.is === 'tag' ? [line.tag] : []))
  assert.deepEqual(removed.sort(), ['old', ...tagsOf(gone)].sort())
  for (const image of [kept, ...signatures])
    for (const key of keysOf(APP, image)) assert.ok(fake.objects.get(key) !== undefined, key)
  assert.ok(fake.objects.get(tagLink(APP, tagsOf(first)[1] ?? '')) !== undefined)
})

test('a repository with a tag that names no digest stays as it is', async (t) => {
  const fake = await startFake(t)
  fillBucket(fake, APP, '1', makeImage())
  fake.objects.put(tagLink(APP, '1'), Buffer.from('<html>'))
  age(fake, 30)
  const before = fake.objects.keys()
  const lines = await expire(t, fake)
  assert.deepEqual([lines.map(({ is }) => is), fake.objects.keys()], [['skipped'], before])
})

test('a tag that is written again while its other objects are removed stays', async (t) => {
  const fake = await startFake(t)
  const image = makeImage()
  fillBucket(fake, APP, 'old', image)
  const link = tagLink(APP, 'old')
  const index = `${link.slice(0, -'current/link'.length)}index/${image.manifest.digest.replace(':', '/')}/link`
  fake.objects.put(index, Buffer.from(image.manifest.digest))
  age(fake, 30)
  fake.faultOf = ({ method, key }) => {
    if (method === 'DELETE' && key === index) fake.objects.put(link, Buffer.from(image.manifest.digest))
    return undefined
  }
  await expire(t, fake, { rules: [{ names: ['up.test/*'], keepTags: ['v*'] }] })
  for (const key of [...keysOf(APP, image), link]) assert.ok(fake.objects.get(key) !== undefined, key)
})

test('an answer that is no listing ends the run, and nothing is removed', async (t) => {
  const fake = await startFake(t)
  fillBucket(fake, APP, '1', makeImage())
  age(fake, 30)
  const before = fake.objects.keys()
  fake.faultOf = ({ method, query }) =>
    method === 'GET' && query.includes('delimiter') ? { kind: 'text', text: '<html></html>' } : undefined
  await assert.rejects(expire(t, fake), { code: 'unavailable' })
  assert.deepEqual(fake.objects.keys(), before)
})

test('a run that may delete nothing says so, and so does the next one', async (t) => {
  const fake = await startFake(t)
  fillBucket(fake, APP, '1', makeImage())
  fake.objects.delete(tagLink(APP, '1'))
  age(fake, 30)
  fake.faultOf = ({ method }) =>
    method === 'DELETE' ? { kind: 'error', status: 403, code: 'AccessDenied' } : undefined
  for (const _ of [1, 2])
    await assert.rejects(expire(t, fake), { code: 'denied', message: /AccessDenied .*s3:DeleteObject/ })
})

test('the lock is renewed while manifests are read, and a run that has lost it removes nothing', async (t) => {
  const fake = await startFake(t)
  const image = makeImage()
  fillBucket(fake, APP, '1', image)
  fake.objects.delete(tagLink(APP, '1'))
  age(fake, 30)
  const renewed = () => fake.requests.filter(({ method, key }) => method === 'PUT' && key === LOCK).length
  let renewedBefore = 0
  fake.faultOf = ({ method, key }) => {
    if (method !== 'GET' || key !== dataKey(image.manifest.digest)) return undefined
    renewedBefore = renewed()
    fake.objects.put(LOCK, Buffer.from('the other one'))
    return undefined
  }
  await assert.rejects(expire(t, fake, { renewLockMs: 0 }), { code: 'busy' })
  // Once it was taken, and then for the repository, its folders, its links and its manifest.
  assert.ok(renewedBefore > 3, String(renewedBefore))
  assert.deepEqual(fake.objects.keys(), [...keysOf(APP, image), LOCK].sort())
})

test('a signature stays when its image is pulled just before the tags go', async (t) => {
  const fake = await startFake(t)
  const [image, signature] = [makeImage(), makeImage()]
  const tag = `${image.manifest.digest.replace(':', '-')}.sig`
  fillBucket(fake, APP, 'z', image)
  fillBucket(fake, APP, tag, signature)
  age(fake, 30)
  fake.faultOf = ({ method, key }) => {
    if (method === 'HEAD' && key === tagLink(APP, 'z'))
      fake.objects.put(key, Buffer.from(image.manifest.digest))
    return undefined
  }
  const lines = await expire(t, fake, { rules: [{ names: ['up.test/*'], keepLast: 0 }] })
  assert.deepEqual(lines, [{ is: 'skipped', repository: APP, why: 'its tags have changed meanwhile' }])
  assert.ok(fake.objects.get(tagLink(APP, tag)) !== undefined)
})

test('an aborted run lets the lock go', async (t) => {
  const fake = await startFake(t)
  fillBucket(fake, APP, '1', makeImage())
  const aborting = new AbortController()
  fake.faultOf = ({ query }) => {
    if (query.includes('delimiter')) aborting.abort(new Error('enough'))
    return undefined
  }
  await assert.rejects(expire(t, fake, { signal: aborting.signal }), { message: 'enough' })
  assert.equal(fake.objects.get(LOCK), undefined)
})

test('the bucket of one registry is collected by the names that its images have', async (t) => {
  const fake = await startFake(t)
  fillBucket(fake, 'team/app', 'old', makeImage())
  age(fake, 30)
  const rules = [{ names: ['reg.test/team/*'], keepForMs: 10 * DAY_MS }]
  const [line] = await expire(t, fake, { rules, registry: 'reg.test' })
  assert.deepEqual([line?.is, fake.objects.keys()], ['tag', []])
})
