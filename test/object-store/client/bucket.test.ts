import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NEVER, openBucket, sha256, startFake } from '../bucket-fixture.ts'
import { BUCKET_STEPS } from '../bucket-steps.ts'

for (const [name, step] of Object.entries(BUCKET_STEPS)) {
  test(name, async (t) => {
    const fake = await startFake(t)
    fake.pageSize = 2
    await step(openBucket(t, { endpoint: fake.endpoint }))
  })
}

test('every request is signed, and its body is covered by the signature', async (t) => {
  const fake = await startFake(t)
  const bucket = openBucket(t, { endpoint: fake.endpoint })
  const body = Buffer.from('body')
  await bucket.put('key', body, { sha256: sha256(body), ...NEVER })
  const [request] = fake.requests
  assert.match(request?.headers.authorization ?? '', /^AWS4-HMAC-SHA256 Credential=leat-test\//)
  assert.equal(request?.headers['x-amz-content-sha256'], sha256(body))
  assert.equal(request?.key, 'cache/key')
})

test('a server without conditional writes is asked without the condition, from then on', async (t) => {
  const fake = await startFake(t)
  fake.knowsConditions = false
  const bucket = openBucket(t, { endpoint: fake.endpoint })
  const body = Buffer.from('body')
  assert.equal(await bucket.put('one', body, { sha256: sha256(body), ...NEVER }), true)
  assert.equal(await bucket.put('two', body, { sha256: sha256(body), ...NEVER }), true)
  const conditional = fake.requests.filter(({ headers }) => headers['if-none-match'] !== undefined)
  assert.equal(conditional.length, 1)
})

test('a server that knows no conditional removal is asked for other writes with their conditions', async (t) => {
  const fake = await startFake(t)
  const bucket = openBucket(t, { endpoint: fake.endpoint })
  fake.faultOf = ({ method, headers }) =>
    method === 'DELETE' && headers['if-match'] !== undefined
      ? { kind: 'error', status: 501, code: 'NotImplemented' }
      : undefined
  const body = Buffer.from('body')
  const write = { sha256: sha256(body), ...NEVER }
  await bucket.put('one', body, write)
  const known = (await bucket.read('one', NEVER)) ?? assert.fail()
  assert.equal(await bucket.deleteVersion('one', { known, ...NEVER }), true)
  await bucket.put('one', Buffer.from('other'), { sha256: sha256(Buffer.from('other')), ...NEVER })
  assert.equal(await bucket.replace('one', body, { known, ...write }), false)
  assert.equal(await bucket.put('one', body, write), false)
})

test('a public bucket is read without a signature', async (t) => {
  const fake = await startFake(t)
  fake.objects.put('cache/key', Buffer.from('public'))
  const bucket = openBucket(t, { endpoint: fake.endpoint, credentials: 'none' })
  assert.equal((await bucket.read('key', NEVER))?.text, 'public')
  assert.equal(fake.requests[0]?.headers.authorization, undefined)
})

test('expired credentials are read again, once for a request', async (t) => {
  const fake = await startFake(t)
  fake.objects.put('cache/key', Buffer.from('found'))
  const environment: Record<string, string> = { AWS_ACCESS_KEY_ID: 'old', AWS_SECRET_ACCESS_KEY: 'secret' }
  const bucket = openBucket(t, { endpoint: fake.endpoint, environment })
  assert.equal((await bucket.read('key', NEVER))?.text, 'found')
  fake.expiredKeys.add('old')
  environment['AWS_ACCESS_KEY_ID'] = 'new'
  const response = await bucket.bodies.get('key', { start: 0 }, NEVER)
  response.body.dispose()
  assert.equal(response.status, 200)
  fake.expiredKeys.add('new')
  const asked = fake.requests.length
  await assert.rejects(bucket.read('key', NEVER), { code: 'denied', message: /ExpiredToken/ })
  assert.equal(fake.requests.length, asked + 2)
})

test('a failure says what is wrong and what to do, without any secret', async (t) => {
  const fake = await startFake(t)
  const bucket = openBucket(t, { endpoint: fake.endpoint })
  fake.clockAheadMs = -3_600_000
  await assert.rejects(bucket.read('key', NEVER), {
    code: 'denied',
    message: /^s3:\/\/images\/cache: RequestTimeTooSkewed, this node is 36\d\d s ahead \(.*set it\)\.$/,
  })
  fake.clockAheadMs = 0
  fake.faultOf = () => ({ kind: 'error', status: 503, code: 'SlowDown' })
  await assert.rejects(bucket.read('key', NEVER), { code: 'unavailable', message: /SlowDown/ })
  fake.faultOf = () => ({ kind: 'error', status: 403, code: 'AccessDenied' })
  await assert.rejects(bucket.bodies.get('key', { start: 0 }, NEVER), {
    code: 'denied',
    message: /s3:GetObject/,
  })
  const other = openBucket(t, { endpoint: fake.endpoint, bucket: 'none' })
  fake.faultOf = () => undefined
  await assert.rejects(other.read('key', NEVER), { code: 'denied', message: /NoSuchBucket/ })
})

test('an object is copied onto itself also where the bucket is in the host, and below the path of an endpoint', async (t) => {
  const fake = await startFake(t)
  const inHost = openBucket(t, {
    endpoint: 'http://s3.test',
    pathStyle: false,
    prefix: 'a b',
    proxies: { http: fake.endpoint },
  })
  fake.objects.put('a b/key', Buffer.from('old'), 0)
  await inHost.refresh('key', NEVER)
  assert.equal(fake.requests[0]?.headers.host, 'images.s3.test')
  assert.equal(fake.requests[0]?.headers['x-amz-copy-source'], '/images/a%20b/key')
  assert.ok((fake.objects.get('a b/key')?.modifiedAt ?? 0) > 0)
  const below = openBucket(t, { endpoint: `${fake.endpoint}/images/s3` })
  await assert.rejects(below.refresh('key', NEVER), { code: 'absent' })
  assert.equal(fake.requests.at(-1)?.headers['x-amz-copy-source'], '/images/cache/key')
})

test('an error in an answer of 200 is a failure of the copy', async (t) => {
  const fake = await startFake(t)
  fake.faultOf = () => ({ kind: 'text', text: '<Error><Code>InternalError</Code></Error>' })
  await assert.rejects(openBucket(t, { endpoint: fake.endpoint }).refresh('key', NEVER), {
    code: 'unavailable',
    message: 's3://images/cache could not copy an object onto itself: InternalError.',
  })
})
