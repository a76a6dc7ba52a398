import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dataKey } from '../../../src/object-store/layout/distribution.ts'
import type { BucketOptions } from '../../../src/object-store/options/options.ts'
import { RedirectBucket } from '../../../src/redirects/buckets/redirect-bucket.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { FakeS3 } from '../../../testkit/object-store/fake-s3.ts'
import { TEST_KEYS } from '../../../testkit/object-store/servers.ts'

const BLOB = Buffer.from('blob')
const DIGEST = digestOf(BLOB)
const APP = { registry: 'localhost:5000', name: 'team/app' }
const OTHER = { registry: 'localhost:5000', name: 'other' }
const NEVER = { signal: new AbortController().signal }

async function open(
  t: Parameters<typeof addCleanup>[0],
  options: Partial<BucketOptions> = {},
  registry?: string,
) {
  const fake = await FakeS3.start()
  addCleanup(t, () => fake.close())
  const bucket = new RedirectBucket(
    {
      name: 's3://images/cache',
      bucket: {
        bucket: 'images',
        prefix: 'cache',
        endpoint: fake.endpoint,
        environment: TEST_KEYS,
        credentials: 'env',
        ...options,
      },
      ...(registry === undefined ? {} : { registry }),
    },
    { userAgent: 'leat/test', proxies: undefined },
  )
  addCleanup(t, () => bucket.close())
  return { fake, bucket }
}

test('a private bucket has a blob for the repositories that have a link to it', async (t) => {
  const { fake, bucket } = await open(t)
  fake.objects.put(`cache/${dataKey(DIGEST)}`, BLOB)
  assert.equal(await bucket.has(APP, DIGEST, NEVER), false)
  const link = `cache/docker/registry/v2/repositories/localhost__5000/team/app/_layers/sha256/${DIGEST.slice(7)}/link`
  fake.objects.put(link, Buffer.from(DIGEST))
  assert.equal(await bucket.has(APP, DIGEST, NEVER), true)
  assert.equal(await bucket.has(OTHER, DIGEST, NEVER), false)
  fake.objects.delete(`cache/${dataKey(DIGEST)}`)
  assert.equal(await bucket.has(APP, DIGEST, NEVER), false)
})

test('a bucket of one registry has no registry in the names of its repositories', async (t) => {
  const { fake, bucket } = await open(t, {}, 'localhost:5000')
  fake.objects.put(`cache/${dataKey(DIGEST)}`, BLOB)
  fake.objects.put(
    `cache/docker/registry/v2/repositories/team/app/_layers/sha256/${DIGEST.slice(7)}/link`,
    BLOB,
  )
  assert.equal(await bucket.has(APP, DIGEST, NEVER), true)
})

test('the URL of a private bucket is signed for one method and a short time, and leads to the blob', async (t) => {
  const { fake, bucket } = await open(t)
  fake.objects.put(`cache/${dataKey(DIGEST)}`, BLOB)
  const url = new URL(await bucket.url(DIGEST, 'GET', NEVER))
  assert.equal(url.searchParams.get('X-Amz-Expires'), '1200')
  assert.match(url.searchParams.get('X-Amz-Signature') ?? '', /^[0-9a-f]{64}$/)
  assert.ok(!url.href.includes(TEST_KEYS.AWS_SECRET_ACCESS_KEY))
  assert.equal(await (await fetch(url)).text(), 'blob')
  const head = new URL(await bucket.url(DIGEST, 'HEAD', NEVER))
  assert.notEqual(head.searchParams.get('X-Amz-Signature'), url.searchParams.get('X-Amz-Signature'))
})

test('a public bucket is any server of files with the same paths, and its URLs are not signed', async (t) => {
  const fake = await FakeS3.start()
  addCleanup(t, () => fake.close())
  const endpoint = `${fake.endpoint}/images/mirror/`
  const bucket = new RedirectBucket(
    { name: endpoint, bucket: { bucket: '', prefix: '', endpoint, credentials: 'none' } },
    { userAgent: 'leat/test', proxies: undefined },
  )
  addCleanup(t, () => bucket.close())
  assert.equal(await bucket.has(APP, DIGEST, NEVER), false)
  fake.faultOf = () => ({ kind: 'error', status: 403, code: 'AccessDenied' })
  assert.equal(await bucket.has(APP, DIGEST, NEVER), false)
  fake.faultOf = () => undefined
  fake.objects.put(`mirror/${dataKey(DIGEST)}`, BLOB)
  assert.equal(await bucket.has(APP, DIGEST, NEVER), true)
  assert.equal(await bucket.url(DIGEST, 'GET', NEVER), `${endpoint}${dataKey(DIGEST)}`)
  assert.ok(
    fake.requests.every(({ method, headers }) => method === 'HEAD' && headers.authorization === undefined),
  )
})

test('a bucket that refuses the agent is a failure, and not a missing blob', async (t) => {
  const { fake, bucket } = await open(t)
  fake.faultOf = () => ({ kind: 'error', status: 403, code: 'AccessDenied' })
  await assert.rejects(bucket.has(APP, DIGEST, NEVER), { code: 'denied', message: /^s3:\/\/images\/cache: / })
})
