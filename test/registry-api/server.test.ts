import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { test } from 'node:test'
import { EverybodyAccess } from '../../src/access/everybody-access.ts'
import { OCI_MANIFEST } from '../../src/oci/media-types.ts'
import { createRegistryServer } from '../../src/registry-api/server.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { MemoryResolver } from '../../testkit/memory/memory-resolver.ts'
import { ALPINE, openSocket, readUntilClosed, requestHttp1, startTestServer } from './test-server.ts'

const BYTES = Buffer.alloc(2_000_000, 'x')
const PATH = `/v2/alpine/blobs/${digestOf(BYTES)}`

function getBlob(port: number, agent: Agent | false): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: PATH, agent }, resolve).on('error', reject)
  })
}

async function sizeOf(response: AsyncIterable<Buffer>): Promise<number> {
  let size = 0
  for await (const chunk of response) size += chunk.length
  return size
}

test('start rejects when the port is in use', async (t) => {
  const { port } = await startTestServer(t)
  const second = createRegistryServer({
    resolver: new MemoryResolver(),
    listen: { host: '127.0.0.1', port },
    access: new EverybodyAccess(async () => false),
    defaultNamespace: 'docker.io',
  })
  await assert.rejects(second.start(), { code: 'EADDRINUSE' })
  await second.close()
})

test('an HTTP/1.1 connection stays open for the next request', async (t) => {
  const { port } = await startTestServer(t)
  const socket = await openSocket(port)
  for (let i = 0; i < 3; i += 1) {
    socket.write('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    assert.match(answer.toString(), /^HTTP\/1\.1 200 OK\r\n[\s\S]*Keep-Alive: timeout=120\r\n/)
  }
  socket.destroy()
})

test('when there are too many connections, the one that has been idle for longest is closed', async (t) => {
  const { port } = await startTestServer(t, { limits: { maxConnections: 2 } })
  const first = await openSocket(port)
  const firstClosed = readUntilClosed(first)
  const second = await openSocket(port)
  const third = await openSocket(port)
  await firstClosed
  for (const socket of [second, third]) {
    const closed = readUntilClosed(socket)
    socket.write('GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    assert.match((await closed).text, /^HTTP\/1\.1 200 /)
  }
})

test('connections with an answer under way stay open, and new ones beyond the limit are closed', async (t) => {
  const { port, resolver } = await startTestServer(t, { limits: { maxConnections: 2 } })
  let release = (): void => {}
  resolver.answersAfter = new Promise((resolve) => {
    release = resolve
  })
  resolver.putManifest(ALPINE, Buffer.from('{}'), OCI_MANIFEST, 'latest')
  const busy = await Promise.all([openSocket(port), openSocket(port)])
  const answers = busy.map(readUntilClosed)
  for (const socket of busy) {
    socket.write('GET /v2/alpine/manifests/latest HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  }
  while (resolver.asked.length < 2) await new Promise((resolve) => setImmediate(resolve))
  await readUntilClosed(await openSocket(port))
  release()
  for (const { text } of await Promise.all(answers)) assert.match(text, /^HTTP\/1\.1 200 /)
})

test('drain closes idle connections at once, and waits for a body under way', async (t) => {
  const { port, resolver, server } = await startTestServer(t)
  const growing = resolver.growBlob(ALPINE, BYTES)
  growing.growTo(1000)
  const agent = new Agent({ keepAlive: true })
  t.after(() => agent.destroy())
  const response = await getBlob(port, agent)
  const idle = await openSocket(port)
  idle.write('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(idle, 'data')
  const unused = await openSocket(port)
  const closings = Promise.all([readUntilClosed(idle), readUntilClosed(unused)])

  const drained = server.drain({ timeoutMs: 60_000 })
  await closings
  await assert.rejects(openSocket(port), { code: 'ECONNREFUSED' })
  growing.growTo(BYTES.length)
  assert.equal(await sizeOf(response), BYTES.length)
  await drained
  await resolver.allClosed()
})

test('drain sends GOAWAY over HTTP/2, and waits for a body under way', async (t) => {
  const { port, resolver, server } = await startTestServer(t)
  const growing = resolver.growBlob(ALPINE, BYTES)
  growing.growTo(1000)
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  const stream = session.request({ ':path': PATH })
  await once(stream, 'response')
  const goaway = once(session, 'goaway')
  const drained = server.drain({ timeoutMs: 60_000 })
  await goaway
  growing.growTo(BYTES.length)
  assert.equal(await sizeOf(stream), BYTES.length)
  await drained
  await resolver.allClosed()
})

test('drain waits no longer than its timeout', async (t) => {
  const { port, resolver, server } = await startTestServer(t)
  resolver.growBlob(ALPINE, BYTES).growTo(1000)
  const response = await getBlob(port, false)
  const cut = assert.rejects(sizeOf(response), { code: 'ECONNRESET' })
  await server.drain({ timeoutMs: 10 })
  await cut
  await resolver.allClosed()
})

test('close closes all connections, and can be called twice', async (t) => {
  const { port, resolver, server } = await startTestServer(t)
  resolver.growBlob(ALPINE, BYTES).growTo(1000)
  const cut = assert.rejects(sizeOf(await getBlob(port, false)))
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  session.on('error', () => {})
  await once(session, 'connect')
  const sessionClosed = once(session, 'close')
  await server.close()
  await server.close()
  await cut
  await sessionClosed
  await resolver.allClosed()
  await assert.rejects(requestHttp1(port, '/v2/'), { code: 'ECONNREFUSED' })
})
