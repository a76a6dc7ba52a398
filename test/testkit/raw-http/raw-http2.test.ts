import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { TYPE } from '../../../testkit/raw-http/http2-frames.ts'
import { RawHttp2 } from '../../../testkit/raw-http/raw-http2.ts'

test('the status of every answer is read, whether it is indexed, packed or written out', async (t) => {
  const server = createServer((request, response) => {
    response.writeHead(Number(request.url.slice(1))).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const client = await RawHttp2.open({ port: (server.address() as AddressInfo).port })
  t.after(() => client.socket.close())
  for (const status of [200, 204, 206, 304, 400, 404, 500, 201, 405, 412, 416, 431, 503, 567, 589]) {
    assert.equal(await client.status(client.get(`/${status}`)), status)
  }
})

test('no body comes before a window is opened, and then as much as it lets through', async (t) => {
  const server = createServer((_, response) => void response.end('x'.repeat(1000))).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const client = await RawHttp2.open({ port: (server.address() as AddressInfo).port }, { window: 0 })
  t.after(() => client.socket.close())
  const stream = client.get('/')
  assert.equal(await client.status(stream), 200)
  await client.settled()
  assert.equal(client.count(TYPE.data), 0)
  await client.grant(stream, 10)
  assert.equal((await client.nextFrame(TYPE.data, stream)).payload.length, 10)
})
