import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { ANY_SCOPE } from '../../../src/upstream/options/address-scope.ts'
import { BlobClient } from '../../../src/upstream/transport/blob-client.ts'
import { makeCertificates } from '../../../testkit/certificates.ts'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'
import { sharedLanes } from '../../lanes/shared-lanes.ts'
import { startServer } from '../../upstream/transport/scripted-server.ts'

const ALL = { skip: 0, limit: Number.POSITIVE_INFINITY }

test('bytes after the end of a body are ignored, and the connection is not reused', async (t) => {
  const { get, body, sockets } = await startServer(t, (socket) => {
    socket.write(
      'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbodyHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
    )
  })
  for (let i = 0; i < 2; i += 1) assert.equal((await body(await get())).toString(), 'body')
  assert.equal(sockets.length, 2)
})

test('bytes after the end of a body of several reads are ignored, and the connection is not reused', async (t) => {
  const content = randomBytes(1_000_000)
  const { get, body, sockets } = await startServer(t, (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\n\r\n`)
    socket.write(Buffer.concat([content, randomBytes(100_000)]))
  })
  assert.ok((await body(await get())).equals(content))
  const [first] = sockets
  assert.ok(first)
  await new Promise<void>((resolve) => (first.closed ? resolve() : first.once('close', () => resolve())))
  assert.ok((await body(await get())).equals(content))
  assert.equal(sockets.length, 2)
})

test('the socket never writes more than the body into the memory of the intake', async (t) => {
  const content = randomBytes(300_000)
  const { get } = await startServer(t, (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\n\r\n`)
    socket.write(Buffer.concat([content, Buffer.alloc(100_000, 0xee)]))
  })
  const intake = new MemoryIntake({ window: 1_000_000 })
  await (await get()).body.readInto(intake, ALL)
  assert.ok(intake.bytes.equals(content))
  await new Promise((resolve) => setImmediate(resolve))
  const untouched = intake.buffer().subarray(content.length)
  assert.ok(!untouched.includes(0xee))
})

test('bytes that a TLS socket decrypts before the body is read are not lost', async (t) => {
  const content = randomBytes(50_000)
  const { cert, key } = makeCertificates()
  const server = createTlsServer({ cert, key }, (socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      const head = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\n\r\n`)
      // One write makes several TLS records, which are read at once and decrypted one after another.
      socket.write(Buffer.concat([head, content]))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const client = new BlobClient({
    lanes: sharedLanes(),
    tls: { ca: undefined, rejectUnauthorized: false },
    connectMs: 60_000,
    headerMs: 60_000,
    fallback: () => Promise.reject(new Error('sent to the fallback')),
  })
  t.after(() => client.close())
  const url = new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  const { signal } = new AbortController()
  const response = await client.send({
    method: 'GET',
    url,
    headers: {},
    kind: 'blob',
    scopeLimit: ANY_SCOPE,
    signal,
  })
  await new Promise((resolve) => setImmediate(resolve))
  const intake = new MemoryIntake({ window: 7000 })
  await response.body.readInto(intake, ALL)
  assert.ok(intake.bytes.equals(content))
})
