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

test('only for an object of more than 5 GiB is it no failure that the server does not copy it', async (t) => {
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
  await assert.rejects(links.makeBytesYoung('key', NEVER), { code: 'denied', message: /InvalidRequest/ })
})
