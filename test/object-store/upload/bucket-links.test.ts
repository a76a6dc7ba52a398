import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { BucketLinks } from '../../../src/object-store/upload/bucket-links.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import type { FakeS3 } from '../../../testkit/object-store/fake-s3.ts'
import { NEVER, openBucket, startFake } from '../bucket-fixture.ts'

const MONTH_AGO = Date.now() - 30 * 86_400_000

function openLinks(t: TestContext, { endpoint }: Pick<FakeS3, 'endpoint'>): BucketLinks {
  return new BucketLinks(openBucket(t, { endpoint }))
}

test('bytes that a server does not let be copied onto themselves have to be sent again', async (t) => {
  const fake = await startFake(t)
  fake.objects.put('cache/key', Buffer.from('bytes'), MONTH_AGO)
  for (const [status, code] of [
    [403, 'AccessDenied'],
    [501, 'NotImplemented'],
  ] as const) {
    fake.faultOf = ({ method }) => (method === 'PUT' ? { kind: 'error', status, code } : undefined)
    assert.equal(await openLinks(t, fake).makeBytesYoung('key', NEVER), false, code)
  }
  assert.equal(fake.objects.get('cache/key')?.modifiedAt, MONTH_AGO)
  fake.faultOf = ({ method }) =>
    method === 'PUT' ? { kind: 'error', status: 503, code: 'SlowDown' } : undefined
  await assert.rejects(openLinks(t, fake).makeBytesYoung('key', NEVER), { code: 'unavailable' })
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

test('an object of more than 5 GiB is not sent again because the server does not copy it', async (t) => {
  let size = 5 * 1024 ** 3 + 1
  const server = createServer((request, response) => {
    request.resume()
    if (request.method === 'HEAD')
      response.writeHead(200, { 'content-length': size, 'last-modified': new Date(MONTH_AGO).toUTCString() })
    else response.writeHead(400)
    response.end(request.method === 'HEAD' ? undefined : '<Error><Code>InvalidRequest</Code></Error>')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  addCleanup(t, () => {
    server.closeAllConnections()
    server.close()
  })
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const links = openLinks(t, { endpoint })
  assert.equal(await links.makeBytesYoung('key', NEVER), true)
  size -= 1
  assert.equal(await links.makeBytesYoung('key', NEVER), false)
})
