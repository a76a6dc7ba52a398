import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { dataKey } from '../../src/object-store/layout/distribution.ts'
import type { RequestSender } from '../../src/ports/redirects/redirected-host.ts'
import { NearBuckets } from '../../src/redirects/near-buckets.ts'
import { addCleanup } from '../../testkit/cleanup.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { FakeS3 } from '../../testkit/object-store/fake-s3.ts'

const BLOB = Buffer.from('blob')
const DIGEST = digestOf(BLOB)
const REPOSITORY = { registry: 'reg.test', name: 'app' }

async function open(t: TestContext) {
  const fakes = [await FakeS3.start('eu'), await FakeS3.start('us')] as const
  for (const fake of fakes) {
    fake.objects.put(dataKey(DIGEST), BLOB)
    addCleanup(t, () => fake.close())
  }
  const clientsIn = (networks: readonly string[], fake: FakeS3) => ({
    networks,
    to: {
      name: fake.bucket,
      bucket: { bucket: fake.bucket, prefix: '', endpoint: fake.endpoint, credentials: 'none' },
    } as const,
  })
  const buckets = new NearBuckets(
    {
      host: 'x',
      to: 'https://reg.test/v2/',
      clients: [clientsIn(['10.1.0.0/16', 'fd00::/8'], fakes[0]), clientsIn(['10.0.0.0/8'], fakes[1])],
      trustedProxies: ['10.2.0.1'],
    },
    { userAgent: 'leat/test', proxies: undefined },
  )
  addCleanup(t, () => buckets.close())
  await buckets.open()
  const locate = (sender: Partial<RequestSender>, isGet = true) =>
    buckets.locate({
      repository: REPOSITORY,
      wanted: { kind: 'blob', digest: DIGEST },
      query: '',
      isGet,
      sender: { address: '', forwardedFor: undefined, forwarded: undefined, ...sender },
    })
  return { fakes, buckets, locate }
}

test('the first entry with the address of the client names the bucket', async (t) => {
  const { fakes, locate } = await open(t)
  const [eu, us] = fakes
  const table: readonly [Partial<RequestSender>, FakeS3 | undefined][] = [
    [{ address: '10.1.2.3' }, eu],
    [{ address: 'fd00::1' }, eu],
    [{ address: '10.9.9.9' }, us],
    [{ address: '::ffff:10.9.9.9' }, us],
    [{ address: '192.0.2.1' }, undefined],
    [{}, undefined],
    [{ address: '10.2.0.1', forwardedFor: '10.1.2.3' }, eu],
    [{ address: '10.2.0.1', forwarded: 'for=192.0.2.1' }, undefined],
    [{ address: '192.0.2.1', forwardedFor: '10.1.2.3' }, undefined],
    [{ address: '10.9.9.9', forwardedFor: '10.1.2.3' }, us],
  ]
  for (const [sender, fake] of table) {
    const expected = fake && {
      bucket: fake.bucket,
      url: `${fake.endpoint}/${fake.bucket}/${dataKey(DIGEST)}`,
    }
    assert.deepEqual(await locate(sender), expected, JSON.stringify(sender))
  }
  assert.deepEqual([eu.requests.length, us.requests.length], [1, 1])
})

test('only blobs are looked for, and those that the bucket does not have are not located', async (t) => {
  const { fakes, buckets, locate } = await open(t)
  const [eu] = fakes
  eu.objects.delete(dataKey(DIGEST))
  assert.equal(await locate({ address: '10.1.2.3' }), undefined)
  const sender = { address: '10.9.9.9', forwardedFor: undefined, forwarded: undefined }
  for (const wanted of [{ kind: 'manifest', reference: DIGEST }, { kind: 'tags' }] as const)
    assert.equal(
      await buckets.locate({ repository: REPOSITORY, wanted, query: '', isGet: true, sender }),
      undefined,
    )
})

test('a bucket that is down sends no client away', async (t) => {
  const { fakes, locate } = await open(t)
  fakes[0].faultOf = () => ({ kind: 'error', status: 503, code: 'SlowDown' })
  assert.equal(await locate({ address: '10.1.2.3' }), undefined)
  assert.notEqual(await locate({ address: '10.9.9.9' }), undefined)
})

test('a bucket whose file of an authority is missing cannot be opened', async (t) => {
  const caFile = '/nonexistent/ca.pem'
  const bucket = {
    bucket: 'eu',
    prefix: '',
    endpoint: 'https://eu.test',
    credentials: 'none',
    caFile,
  } as const
  const clients = [{ networks: ['10.0.0.0/8'], to: { name: 'eu', bucket } }]
  const buckets = new NearBuckets(
    { host: 'x', to: 'https://reg.test/v2/', clients },
    { userAgent: 'leat/test', proxies: undefined },
  )
  addCleanup(t, () => buckets.close())
  await assert.rejects(buckets.open(), { name: 'FileProblem', file: caFile })
})
