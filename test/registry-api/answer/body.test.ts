import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { test } from 'node:test'
import { Failure } from '../../../src/ports/failure.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import {
  ALPINE,
  errorCodeOf,
  nextRequestEnded,
  openSocket,
  readUntilClosed,
  requestHttp1,
  requestHttp2,
  startTestServer,
} from '../test-server.ts'

const BYTES = randomBytes(2_000_000)
const PATH = `/v2/alpine/blobs/${digestOf(BYTES)}`
const STALLED = new Failure('stalled', 'upstream stopped sending')

function getBlob(port: number, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: PATH, headers, agent: false }, resolve).on('error', reject)
  })
}

async function nextChunk(response: IncomingMessage): Promise<Buffer> {
  const [bytes] = (await once(response, 'data')) as [Buffer]
  return bytes
}

test('the bytes of a growing content are sent at once, however few', async (t) => {
  const { port, resolver } = await startTestServer(t)
  const growing = resolver.growBlob(ALPINE, BYTES)
  growing.growTo(1)
  const response = await getBlob(port)
  assert.deepEqual(await nextChunk(response), BYTES.subarray(0, 1))
  growing.growTo(11)
  assert.deepEqual(await nextChunk(response), BYTES.subarray(1, 11))
  growing.growTo(BYTES.length)
  const rest: Buffer[] = []
  for await (const bytes of response) rest.push(bytes as Buffer)
  assert.ok(Buffer.concat(rest).equals(BYTES.subarray(11)))
  await resolver.allClosed()
})

test('a range that is not fetched yet gets its status line before its bytes', async (t) => {
  const { port, resolver } = await startTestServer(t, { limits: { firstByteMs: 1 } })
  const growing = resolver.growBlob(ALPINE, BYTES)
  const response = await getBlob(port, { range: 'bytes=1999990-' })
  assert.equal(response.statusCode, 206)
  growing.growTo(BYTES.length)
  assert.deepEqual(await nextChunk(response), BYTES.subarray(1_999_990))
  await resolver.allClosed()
})

test('a transfer that fails before its first byte is answered with an error, not with a cut body', async (t) => {
  const { port, resolver } = await startTestServer(t)
  for (const request of [requestHttp1, requestHttp2]) {
    resolver.growBlob(ALPINE, BYTES).fail(STALLED)
    const got = await request(port, PATH)
    assert.equal(got.status, 502)
    assert.equal(errorCodeOf(got), 'UNAVAILABLE')
    assert.equal(got.cut, false)
  }
  await resolver.allClosed()
})

test('a body that fails in the middle is cut with FIN, shorter than its Content-Length', async (t) => {
  const { port, resolver } = await startTestServer(t)
  const growing = resolver.growBlob(ALPINE, BYTES)
  growing.growTo(1000)
  const ended = nextRequestEnded()
  const socket = await openSocket(port)
  const closed = readUntilClosed(socket)
  socket.write(`GET ${PATH} HTTP/1.1\r\nHost: x\r\n\r\n`)
  await once(socket, 'data')
  growing.fail(STALLED)
  const { text, reset } = await closed
  assert.equal(reset, false)
  assert.match(text, /Content-Length: 2000000\r\n/)
  assert.ok(text.length < 2000)
  const event = await ended
  assert.equal(event.aborted, true)
  assert.equal(event.bytes, 1000)
  assert.equal(event.error, 'upstream stopped sending')
  await resolver.allClosed()
})

test('over HTTP/2 a body that fails resets its stream, and the connection stays open', async (t) => {
  const { port, resolver } = await startTestServer(t)
  const growing = resolver.growBlob(ALPINE, BYTES)
  growing.growTo(1000)
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  t.after(() => session.close())
  const stream = session.request({ ':path': PATH })
  stream.on('error', () => {})
  await once(stream, 'data')
  const closed = new Promise((resolve) => stream.once('close', resolve))
  growing.fail(STALLED)
  await closed
  assert.equal(stream.rstCode, 2)
  const next = session.request({ ':path': '/v2/' })
  const [headers] = await once(next, 'response')
  assert.equal(headers[':status'], 200)
  next.resume()
  await once(next, 'end')
  await resolver.allClosed()
})

test('when a client disconnects, its content is closed, and other clients get theirs', async (t) => {
  const { port, resolver } = await startTestServer(t)
  const growing = resolver.growBlob(ALPINE, BYTES)
  growing.growTo(1000)
  const staying = await getBlob(port)
  const leaving = await getBlob(port)
  await nextChunk(leaving)
  assert.equal(resolver.openContents, 2)
  const ended = nextRequestEnded((event) => event.aborted)
  leaving.destroy()
  growing.growTo(BYTES.length)
  await ended
  let length = 0
  for await (const bytes of staying) length += (bytes as Buffer).length
  assert.equal(length, BYTES.length)
  await resolver.allClosed()
})

test('a request ends when its client disconnects before the answer', async (t) => {
  const { port, resolver } = await startTestServer(t)
  resolver.putBlob(ALPINE, BYTES)
  resolver.answersAfter = new Promise(() => {})
  const ended = nextRequestEnded()
  const socket = await openSocket(port)
  socket.write(`GET ${PATH} HTTP/1.1\r\nHost: x\r\n\r\n`)
  while (resolver.asked.length === 0) await new Promise((resolve) => setImmediate(resolve))
  socket.resetAndDestroy()
  const event = await ended
  assert.equal(event.aborted, true)
  assert.equal(event.code, 0)
})

test('an HTTP/1.1 body that its client does not read is aborted after the stall deadline', async (t) => {
  const { port, resolver } = await startTestServer(t, { limits: { stallMs: 100 } })
  const large = Buffer.alloc(50_000_000, 'x')
  const digest = resolver.putBlob(ALPINE, large)
  const ended = nextRequestEnded()
  const socket = await openSocket(port)
  socket.on('error', () => {})
  socket.pause()
  socket.write(`GET /v2/alpine/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`)
  const event = await ended
  assert.equal(event.aborted, true)
  assert.ok(event.bytes < large.length)
  await resolver.allClosed()
  socket.destroy()
})

test('an HTTP/2 body that its client does not read is aborted after the stall deadline, and uses little memory until then', async (t) => {
  const { port, resolver } = await startTestServer(t, { limits: { stallMs: 100 } })
  const digest = resolver.putBlob(ALPINE, Buffer.alloc(50_000_000, 'x'))
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  const ended = nextRequestEnded()
  const stream = session.request({ ':path': `/v2/alpine/blobs/${digest}` })
  stream.on('error', () => {})
  const event = await ended
  assert.equal(event.aborted, true)
  assert.ok(event.bytes < 5_000_000)
  await resolver.allClosed()
  stream.resume()
  session.destroy()
})

test('clients that stall while they use all shared buffers do not block other clients', async (t) => {
  const memoryBytes = 1024 * 1024
  const { port, resolver } = await startTestServer(t, { limits: { memoryBytes } })
  const large = resolver.putBlob(ALPINE, Buffer.alloc(30_000_000, 'x'))
  resolver.putBlob(ALPINE, BYTES)
  const stalled = await Promise.all(Array.from({ length: 15 }, () => openSocket(port)))
  for (const socket of stalled) {
    socket.pause()
    socket.on('error', () => {})
    socket.write(`GET /v2/alpine/blobs/${large} HTTP/1.1\r\nHost: x\r\n\r\n`)
  }
  while (resolver.openContents < stalled.length) await new Promise((resolve) => setImmediate(resolve))
  const got = await requestHttp1(port, PATH)
  assert.ok(got.body.equals(BYTES))
  for (const socket of stalled) socket.destroy()
  await resolver.allClosed()
})

test('a content that is shorter than its size is sent as a cut body', async (t) => {
  const { port, resolver } = await startTestServer(t)
  resolver.putBlob(ALPINE, BYTES)
  const blob = resolver.blob.bind(resolver)
  resolver.blob = async (...args) => {
    const { content, cacheResult } = await blob(...args)
    const read = content.read.bind(content)
    return {
      cacheResult,
      content: Object.assign(content, {
        read: async (target: Uint8Array, position: number) => (position > 0 ? 0 : read(target, position)),
      }),
    }
  }
  const got = await requestHttp1(port, PATH)
  assert.equal(got.cut, true)
  assert.ok(got.body.length < BYTES.length)
  await resolver.allClosed()
})
