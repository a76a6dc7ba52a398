import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { examineObjectStore, type ObjectStoreExamination } from '../../src/object-store/examine.ts'
import type { ObjectStoreOptions } from '../../src/object-store/options/store-options.ts'
import type { FakeS3 } from '../../testkit/object-store/fake-s3.ts'
import { TEST_KEYS } from '../../testkit/object-store/servers.ts'
import { NEVER, startFake } from './bucket-fixture.ts'
import { fillBucket, makeImage } from './filled-bucket.ts'

async function examine(
  t: TestContext,
  prepare: (fake: FakeS3) => void,
  options: Partial<ObjectStoreOptions> = {},
): Promise<{ readonly found: ObjectStoreExamination; readonly fake: FakeS3 }> {
  const fake = await startFake(t)
  prepare(fake)
  const { endpoint } = fake
  const found = await examineObjectStore(
    { bucket: 'images', prefix: 'cache', endpoint, environment: TEST_KEYS, credentials: 'env', ...options },
    { userAgent: 'leat/test', proxies: undefined, deadlineMs: 60_000, ...NEVER },
  )
  return { found, fake }
}

test('a bucket that can be read and written is found so, and nothing is left in it', async (t) => {
  const image = makeImage([1000])
  const { found, fake } = await examine(t, (each) => fillBucket(each, 'up.test/app', '1', image))
  assert.deepEqual(
    [found.name, found.credentialsFrom, found.readProblem, found.writeProblem],
    ['s3://images/cache', 'the environment', undefined, undefined],
  )
  assert.match(found.blob?.key ?? '', /^docker\/registry\/v2\/blobs\/sha256\/.*\/data$/)
  assert.equal(found.blob?.size, fake.objects.get(`cache/${found.blob?.key}`)?.bytes.length)
  assert.deepEqual(fake.objects.uploads(), [])
  // The server says its time in whole seconds.
  assert.ok(Math.abs(found.aheadMs ?? Number.NaN) < 60_000)
})

test('the clock of the server is compared with that of the node', async (t) => {
  const { found } = await examine(t, (fake) => {
    fake.clockAheadMs = 600_000
  })
  assert.ok(Math.abs((found.aheadMs ?? 0) - 600_000) < 60_000)
  const { found: refused } = await examine(t, (fake) => {
    fake.clockAheadMs = 3_600_000
  })
  assert.equal(refused.readProblem?.code, 'denied')
  assert.match(refused.readProblem?.message ?? '', /RequestTimeTooSkewed, this node is \d+ s behind/)
})

test('a bucket that may only be read is found so, unless nothing is to be uploaded', async (t) => {
  const refuseWrites = (fake: FakeS3): void => {
    fake.faultOf = ({ method }) =>
      method === 'POST' ? { kind: 'error', status: 403, code: 'AccessDenied' } : undefined
  }
  const { found } = await examine(t, refuseWrites)
  assert.deepEqual([found.readProblem, found.writeProblem?.code], [undefined, 'denied'])
  const { found: readOnly, fake } = await examine(t, refuseWrites, { fill: 'none' })
  assert.equal(readOnly.writeProblem, undefined)
  assert.ok(fake.requests.every(({ method }) => method === 'GET' || method === 'HEAD'))
})

test('missing credentials, and a server that does not answer, are problems', async (t) => {
  const { found } = await examine(t, () => {}, { environment: {} })
  assert.match(found.readProblem?.message ?? '', /^There are no credentials for the object store/)
  const fake = await startFake(t)
  fake.faultOf = () => ({ kind: 'silent' })
  const signal = AbortSignal.timeout(50)
  const silent = await examineObjectStore(
    { bucket: 'images', prefix: '', endpoint: fake.endpoint, environment: TEST_KEYS },
    { userAgent: 'leat/test', proxies: undefined, deadlineMs: 60_000, signal },
  )
  assert.equal(silent.readProblem?.code, 'unavailable')
})
