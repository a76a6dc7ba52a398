import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { getDirectly } from '../../../src/export/readers/direct-body.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'

const signal = new AbortController().signal

async function served(t: TestContext, listener: RequestListener): Promise<URL> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  addCleanup(t, () => {
    server.closeAllConnections()
    server.close()
  })
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/blob?ns=reg.test`)
}

test('a body comes with the head of its answer, and the request with its headers', async (t) => {
  const bytes = Buffer.alloc(3_000_000, 'x')
  const url = await served(t, ({ url: path, headers }, response) => {
    assert.equal(path, '/blob?ns=reg.test')
    assert.equal(headers['range'], 'bytes=5-')
    response.writeHead(206, { 'content-length': bytes.length, 'content-range': 'bytes 5-9/10' }).end(bytes)
  })
  const headers = { range: 'bytes=5-' }
  const body = await getDirectly({ url, headers, signal, silenceMs: 60_000 })
  assert.ok(body)
  assert.equal(body.head.status, 206)
  assert.equal(body.head.headers.get('content-range'), 'bytes 5-9/10')
  let size = 0
  for await (const piece of body.pieces()) size += piece.length
  assert.equal(size, bytes.length)
})

test('a body of unknown length is not read', async (t) => {
  const url = await served(t, (_, response) => {
    response.write('a')
    response.end('b')
  })
  assert.equal(await getDirectly({ url, headers: {}, signal, silenceMs: 60_000 }), undefined)
})

test('a silent server and an aborted signal end the request', async (t) => {
  const url = await served(t, (_, response) => {
    response.writeHead(200, { 'content-length': 10 })
    response.write('abc')
  })
  // On a slow machine, the head of the answer may be too late, too.
  await assert.rejects(async () => {
    const silent = await getDirectly({ url, headers: {}, signal, silenceMs: 20 })
    for await (const _ of silent?.pieces() ?? []);
  }, /no byte for 0.02 s/)
  const controller = new AbortController()
  const aborted = await getDirectly({ url, headers: {}, signal: controller.signal, silenceMs: 60_000 })
  controller.abort(new Error('stopped'))
  await assert.rejects(async () => {
    for await (const _ of aborted?.pieces() ?? []);
  }, /stopped/)
})
