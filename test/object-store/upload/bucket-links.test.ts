import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { BucketLinks } from '../../../src/object-store/upload/bucket-links.ts'
import type { FakeS3 } from '../../../testkit/object-store/fake-s3.ts'
import { NEVER, openBucket, startFake } from '../bucket-fixture.ts'

const MONTH_AGO = Date.now() - 30 * 86_400_000

function openLinks(t: TestContext, { endpoint }: FakeS3): BucketLinks {
  return new BucketLinks(openBucket(t, { endpoint }))
}

test('bytes that cannot be made young are a failure', async (t) => {
  const fake = await startFake(t)
  fake.objects.put('cache/key', Buffer.from('bytes'), MONTH_AGO)
  fake.faultOf = ({ method }) =>
    method === 'PUT' ? { kind: 'error', status: 403, code: 'AccessDenied' } : undefined
  await assert.rejects(openLinks(t, fake).makeBytesYoung('key', NEVER), { code: 'denied' })
  assert.equal(fake.objects.get('cache/key')?.modifiedAt, MONTH_AGO)
})

test('bytes that are missing, or are removed before they are made young, are named as missing', async (t) => {
  const fake = await startFake(t)
  assert.equal(await openLinks(t, fake).makeBytesYoung('key', NEVER), false)
  fake.objects.put('cache/key', Buffer.from('bytes'), MONTH_AGO)
  fake.faultOf = ({ method, key }) => {
    if (method === 'PUT') fake.objects.delete(key)
    return undefined
  }
  assert.equal(await openLinks(t, fake).makeBytesYoung('key', NEVER), false)
})
