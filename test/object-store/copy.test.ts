import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { RateLimiter } from '../../src/lib/async/rate-limiter.ts'
import { BucketCopy } from '../../src/object-store/copy.ts'
import { HostedContents } from '../../src/object-store/hosted/hosted-contents.ts'
import { DistributionLayout } from '../../src/object-store/layout/distribution.ts'
import { ContentUpload } from '../../src/object-store/upload/content-upload.ts'
import { addCleanup } from '../../testkit/cleanup.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import type { FakeS3 } from '../../testkit/object-store/fake-s3.ts'
import { TEST_KEYS } from '../../testkit/object-store/servers.ts'
import { NEVER, openBucket, startFake } from './bucket-fixture.ts'
import { dataKey, layerLink, makeImage, manifestLink } from './filled-bucket.ts'

const REPOSITORY = { registry: 'up.test', name: 'app' }
const MONTH_AGO = Date.now() - 30 * 86_400_000

function openCopy(
  t: TestContext,
  { endpoint }: FakeS3,
  { registry, isDryRun = false }: { registry?: string; isDryRun?: boolean } = {},
): BucketCopy {
  const place = { bucket: 'images', prefix: 'cache', endpoint, environment: TEST_KEYS }
  const copy = new BucketCopy(
    { ...place, ...(registry === undefined ? {} : { registry }) },
    { userAgent: 'leat/test', proxies: undefined, isDryRun, ...NEVER },
  )
  addCleanup(t, () => copy.close())
  return copy
}

test('old bytes are made young as soon as they count as there', async (t) => {
  const fake = await startFake(t)
  const [blob = assert.fail()] = makeImage().blobs
  const key = dataKey(blob.digest)
  fake.objects.put(key, blob.bytes, MONTH_AGO)
  const sized = { digest: blob.digest, size: blob.bytes.length }
  assert.equal(await openCopy(t, fake, { isDryRun: true }).has(REPOSITORY, sized), true)
  assert.equal(fake.objects.get(key)?.modifiedAt, MONTH_AGO)
  assert.equal(await openCopy(t, fake).has(REPOSITORY, sized), true)
  assert.ok((fake.objects.get(key)?.modifiedAt ?? 0) > MONTH_AGO)
})

test('bytes that are removed before they are made young do not count as there', async (t) => {
  const fake = await startFake(t)
  const [blob = assert.fail()] = makeImage().blobs
  fake.objects.put(dataKey(blob.digest), blob.bytes, MONTH_AGO)
  fake.faultOf = ({ method, key }) => {
    if (method === 'PUT') fake.objects.delete(key)
    return undefined
  }
  const sized = { digest: blob.digest, size: blob.bytes.length }
  assert.equal(await openCopy(t, fake).has(REPOSITORY, sized), false)
})

test('bytes to which the repository has a link are not copied onto themselves: the link is made young', async (t) => {
  const fake = await startFake(t)
  const [blob = assert.fail()] = makeImage().blobs
  const [key, link] = [dataKey(blob.digest), layerLink('up.test/app', blob.digest)]
  fake.objects.put(key, blob.bytes, MONTH_AGO)
  fake.objects.put(link, Buffer.from(blob.digest), MONTH_AGO)
  const copy = openCopy(t, fake)
  assert.equal(await copy.has(REPOSITORY, { digest: blob.digest, size: blob.bytes.length }), true)
  await copy.link(REPOSITORY, 'blob', blob.digest)
  assert.equal(fake.objects.get(key)?.modifiedAt, MONTH_AGO)
  assert.ok((fake.objects.get(link)?.modifiedAt ?? 0) > MONTH_AGO)
  assert.deepEqual(
    fake.requests.filter(({ method }) => method === 'PUT').map((request) => request.key),
    [link],
  )
})

test('a manifest to which the repository has a link is not copied onto itself', async (t) => {
  const fake = await startFake(t)
  const { manifest } = makeImage()
  const key = dataKey(manifest.digest)
  fake.objects.put(key, manifest.bytes, MONTH_AGO)
  fake.objects.put(manifestLink('up.test/app', manifest.digest), Buffer.from(manifest.digest), MONTH_AGO)
  await openCopy(t, fake).addManifest(REPOSITORY, manifest)
  assert.equal(fake.objects.get(key)?.modifiedAt, MONTH_AGO)
})

test('old bytes that the server does not let be copied onto themselves are sent again', async (t) => {
  const fake = await startFake(t)
  const [blob = assert.fail()] = makeImage().blobs
  const key = dataKey(blob.digest)
  fake.objects.put(key, blob.bytes, MONTH_AGO)
  fake.faultOf = ({ headers }) =>
    headers['x-amz-copy-source'] === undefined
      ? undefined
      : { kind: 'error', status: 403, code: 'AccessDenied' }
  const copy = openCopy(t, fake)
  const sized = { digest: blob.digest, size: blob.bytes.length }
  assert.equal(await copy.has(REPOSITORY, sized), false)
  await copy.addBytes(sized, Readable.from([blob.bytes]))
  assert.ok((fake.objects.get(key)?.modifiedAt ?? 0) > MONTH_AGO)
  assert.equal(await copy.has(REPOSITORY, sized), true)
})

test('a link to bytes that were removed is not written, and the copy fails', async (t) => {
  const fake = await startFake(t)
  const [blob = assert.fail()] = makeImage().blobs
  await assert.rejects(openCopy(t, fake).link(REPOSITORY, 'blob', blob.digest), {
    code: 'unavailable',
    message: `s3://images/cache: ${blob.digest} was removed while it was copied.`,
  })
  assert.equal(fake.objects.get(layerLink('up.test/app', blob.digest)), undefined)
})

test('a manifest that is removed after it was found is written again', async (t) => {
  const fake = await startFake(t)
  const { manifest } = makeImage()
  const key = dataKey(manifest.digest)
  fake.objects.put(key, manifest.bytes, MONTH_AGO)
  fake.faultOf = (request) => {
    if (request.method === 'HEAD' && request.key === key && fake.objects.get(key)?.modifiedAt === MONTH_AGO)
      fake.objects.delete(key)
    return undefined
  }
  await openCopy(t, fake).addManifest(REPOSITORY, manifest)
  assert.deepEqual(fake.objects.get(key)?.bytes, manifest.bytes)
  assert.ok(fake.objects.get(manifestLink('up.test/app', manifest.digest)) !== undefined)
})

test('a copied manifest with a subject is listed by an agent that hosts the repository in the bucket', async (t) => {
  const fake = await startFake(t)
  const { manifest } = makeImage()
  const subject = digestOf(Buffer.from('subject'))
  await openCopy(t, fake).addManifest(REPOSITORY, { ...manifest, subject })
  const bucket = openBucket(t, { endpoint: fake.endpoint })
  const hosted = new HostedContents({
    bucket,
    layout: new DistributionLayout({ registry: undefined }),
    contents: new ContentUpload({ bucket, rate: new RateLimiter(undefined) }),
  })
  assert.deepEqual(await hosted.referrers(REPOSITORY, subject, NEVER), [manifest.digest])
})

test('a bucket of one registry has its repositories without the registry, and holds no others', async (t) => {
  const fake = await startFake(t)
  const copy = openCopy(t, fake, { registry: 'up.test' })
  const { manifest } = makeImage()
  await copy.addManifest(REPOSITORY, manifest)
  assert.ok(fake.objects.get(manifestLink('app', manifest.digest)) !== undefined)
  assert.equal(copy.holds(REPOSITORY), true)
  assert.equal(copy.holds({ registry: 'other.test', name: 'app' }), false)
})
