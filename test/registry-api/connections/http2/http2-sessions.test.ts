import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type ClientHttp2Session, connect, constants } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { OCI_MANIFEST } from '../../../../src/oci/media-types.ts'
import { makeCertificates } from '../../../../testkit/certificates.ts'
import { PREFACE, settings } from '../../../../testkit/raw-http/http2-frames.ts'
import {
  ALPINE,
  nextRequestEnded,
  readUntilClosed,
  requestHttp2,
  startTestServer,
} from '../../test-server.ts'

async function openSession(t: TestContext) {
  const server = await startTestServer(t)
  const session: ClientHttp2Session = connect(`http://127.0.0.1:${server.port}`)
  session.on('error', () => {})
  t.after(() => session.destroy())
  await once(session, 'remoteSettings')
  return { ...server, session }
}

test('many requests run on one HTTP/2 connection at once', async (t) => {
  const { session, resolver } = await openSession(t)
  const blob = Buffer.alloc(300_000, 'x')
  const digest = resolver.putBlob(ALPINE, blob)
  const sizes = await Promise.all(
    Array.from({ length: 50 }, async () => {
      let size = 0
      for await (const chunk of session.request({ ':path': `/v2/alpine/blobs/${digest}` }))
        size += chunk.length
      return size
    }),
  )
  assert.deepEqual(sizes, new Array(50).fill(blob.length))
  await resolver.allClosed()
})

test('a stream that is cancelled before its answer ends its request at once', async (t) => {
  const { session, resolver } = await openSession(t)
  resolver.answersAfter = new Promise(() => {})
  const ended = nextRequestEnded()
  const stream = session.request({ ':path': '/v2/alpine/manifests/latest' })
  stream.on('error', () => {})
  while (resolver.asked.length === 0) await new Promise((resolve) => setImmediate(resolve))
  stream.close(constants.NGHTTP2_CANCEL)
  const event = await ended
  assert.equal(event.aborted, true)
  assert.equal(event.code, 0)
})

test('headers that are too large fail their stream, and the agent keeps serving', async (t) => {
  const { session, port } = await openSession(t)
  const stream = session.request({ ':path': '/v2/', 'x-huge': 'x'.repeat(60_000) })
  let status: number | undefined
  stream.on('response', (headers) => {
    status = headers[':status']
  })
  stream.on('error', () => {})
  stream.resume()
  await new Promise((resolve) => stream.once('close', resolve))
  assert.ok(status === undefined || status >= 400)
  assert.equal((await requestHttp2(port, '/v2/')).status, 200)
})

test('the agent keeps serving during a flood of streams that are opened and reset', async (t) => {
  const { session, port, resolver } = await openSession(t)
  resolver.putBlob(ALPINE, Buffer.alloc(100))
  for (let i = 0; i < 3000 && !session.closed && !session.destroyed; i += 1) {
    const stream = session.request({ ':path': '/v2/alpine/manifests/latest' })
    stream.on('error', () => {})
    stream.close(constants.NGHTTP2_CANCEL)
    if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  assert.equal((await requestHttp2(port, '/v2/')).status, 200)
  await resolver.allClosed()
})

test('an idle HTTP/2 connection gets a GOAWAY', async (t) => {
  const { port } = await startTestServer(t, { limits: { keepAliveMs: 20 } })
  const session = connect(`http://127.0.0.1:${port}`)
  t.after(() => session.destroy())
  await once(session, 'goaway')
})

test('CONNECT is refused with 405', async (t) => {
  const { session } = await openSession(t)
  const stream = session.request({ ':method': 'CONNECT', ':authority': 'x:1' })
  const [headers] = await once(stream, 'response')
  assert.equal(headers[':status'], 405)
  stream.close()
})

test('when there are too many HTTP/2 connections, the one that has been idle for longest is closed', async (t) => {
  const { port } = await startTestServer(t, { limits: { maxSessions: 2 } })
  const connected = async (): Promise<ClientHttp2Session> => {
    const session = connect(`http://127.0.0.1:${port}`)
    t.after(() => session.destroy())
    session.on('error', () => {})
    await once(session, 'remoteSettings')
    return session
  }
  const first = await connected()
  const second = await connected()
  const used = first.request({ ':path': '/v2/' })
  used.resume()
  await once(used, 'close')
  const secondClosed = once(second, 'close')
  const third = await connected()
  await secondClosed
  assert.equal(first.closed, false)
  assert.equal(third.closed, false)
})

test('HTTP/2 over TLS without ALPN h2 is closed, and later connections are served', async (t) => {
  const { cert, key, ca } = makeCertificates()
  const folder = await mkdtemp(join(tmpdir(), 'leat-http2-'))
  t.after(() => rm(folder, { recursive: true }))
  const tls = { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') }
  await writeFile(tls.certFile, cert)
  await writeFile(tls.keyFile, key)
  const { port, resolver } = await startTestServer(t, { tls })
  resolver.putManifest(ALPINE, Buffer.from('{}'), OCI_MANIFEST, 'latest')
  for (const ALPNProtocols of [undefined, ['http/1.1']]) {
    const socket = connectTls({ host: '127.0.0.1', port, ca, ...(ALPNProtocols && { ALPNProtocols }) })
    socket.write(Buffer.concat([PREFACE, settings({})]))
    await readUntilClosed(socket)
  }
  for (let i = 0; i < 2; i += 1) {
    const got = await requestHttp2(port, '/v2/alpine/manifests/latest', { ca })
    assert.equal(got.status, 200)
    assert.equal(got.body.toString(), '{}')
  }
})
