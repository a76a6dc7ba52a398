import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { rootCertificates } from 'node:tls'
import { BucketRequests } from '../../../src/object-store/client/bucket-requests.ts'
import type { BucketOptions } from '../../../src/object-store/options/options.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { folder } from '../../store/folder.ts'
import { NEVER, startFake } from '../bucket-fixture.ts'

function openRequests(t: TestContext, options: Partial<BucketOptions>): BucketRequests {
  const requests = new BucketRequests({
    bucket: { bucket: 'images', prefix: '', credentials: 'none', ...options },
    userAgent: 'leat/test',
    proxies: undefined,
    deadlineMs: 60_000,
  })
  addCleanup(t, () => requests.close())
  return requests
}

async function startServer(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  addCleanup(t, () => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('a file of an authority that was missing is read again for the next request', async (t) => {
  const fake = await startFake(t)
  fake.objects.put('key', Buffer.from('text'))
  const caFile = join(await folder(t), 'ca.pem')
  const requests = openRequests(t, { endpoint: fake.endpoint, caFile })
  await assert.rejects(requests.open(), { name: 'FileProblem', file: caFile })
  await assert.rejects(requests.send({ method: 'GET', key: 'key' }, NEVER), { code: 'unavailable' })
  await writeFile(caFile, rootCertificates[0] ?? '')
  await requests.open()
  assert.equal((await requests.send({ method: 'GET', key: 'key' }, NEVER)).text, 'text')
})

test('of an error no more than its begin is read, and it names the error', async (t) => {
  // The body has no end.
  const endpoint = await startServer(t, (_, response) => {
    response.writeHead(403)
    response.write('<Error><Code>InvalidAccessKeyId</Code>')
    response.write(Buffer.alloc(64 * 1024, '<Code>'))
  })
  const requests = openRequests(t, { endpoint })
  await assert.rejects(requests.send({ method: 'GET', key: 'key' }, NEVER), {
    code: 'denied',
    message: /InvalidAccessKeyId/,
  })
})
