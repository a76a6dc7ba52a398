import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import {
  openSocket,
  readUntilClosed,
  requestHttp1,
  requestHttp2,
  sendRaw,
  startTestServer,
} from '../test-server.ts'

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
// An empty SETTINGS frame (RFC 9113 section 6.5). The first frame of a server is SETTINGS, too: type 4 on stream 0.
const SETTINGS = '\0\0\0\x04\0\0\0\0\0'
const REQUEST = 'GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'

test('one port serves HTTP/1.1 and HTTP/2', async (t) => {
  const { port } = await startTestServer(t)
  const answers = await Promise.all([
    requestHttp1(port, '/v2/'),
    requestHttp2(port, '/v2/'),
    requestHttp1(port, '/v2/'),
    requestHttp2(port, '/v2/'),
  ])
  assert.deepEqual(
    answers.map(({ status, body }) => `${status} ${body}`),
    new Array(4).fill('200 {}'),
  )
})

test('an HTTP/2 preface that arrives byte by byte is recognized', async (t) => {
  const { port } = await startTestServer(t)
  const socket = await openSocket(port)
  socket.setNoDelay(true)
  for (const byte of PREFACE) {
    socket.write(byte)
    await new Promise((resolve) => setImmediate(resolve))
  }
  socket.write(SETTINGS, 'latin1')
  const [answer] = (await once(socket, 'data')) as [Buffer]
  assert.equal(answer[3], 4)
  socket.destroy()
})

test('an HTTP/1.1 request that arrives byte by byte is answered', async (t) => {
  const { port } = await startTestServer(t)
  const socket = await openSocket(port)
  socket.setNoDelay(true)
  const closed = readUntilClosed(socket)
  for (const byte of REQUEST) {
    socket.write(byte)
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.match((await closed).text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*\{\}$/)
})

test('bytes that only begin like the preface are answered as HTTP/1.1', async (t) => {
  const { port } = await startTestServer(t)
  for (const beginning of [
    'PRI * HTTP/1.1\r\nHost: x\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n',
    'PUT /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  ]) {
    assert.match(await sendRaw(port, beginning), /^HTTP\/1\.1 4\d\d /, beginning)
  }
  assert.equal((await requestHttp1(port, '/v2/')).status, 200)
})

test('a preface that stays incomplete gets a 400 after the headers deadline', async (t) => {
  const { port } = await startTestServer(t, { limits: { headersMs: 50 } })
  assert.match(await sendRaw(port, PREFACE.slice(0, 10)), /^HTTP\/1\.1 400 /)
})

test('a connection on which the client sends nothing is closed without an answer', async (t) => {
  const { port } = await startTestServer(t, { limits: { silentMs: 20 } })
  assert.deepEqual(await readUntilClosed(await openSocket(port)), { text: '', reset: false })
})

test('connections that are closed before a request leave nothing in use', async (t) => {
  const { port, server } = await startTestServer(t)
  for (let i = 0; i < 20; i += 1) (await openSocket(port)).destroy()
  for (let i = 0; i < 20; i += 1) (await openSocket(port)).resetAndDestroy()
  const half = await openSocket(port)
  half.end('PRI')
  await readUntilClosed(half)
  assert.equal((await requestHttp1(port, '/v2/')).status, 200)
  await server.close()
})

test('invalid frames after the preface close that connection only', async (t) => {
  const { port } = await startTestServer(t, { limits: { keepAliveMs: 20 } })
  const others = await openSocket(port)
  const frames = [
    '\xff'.repeat(200),
    // A DATA frame on a stream that was never opened.
    `${SETTINGS}\0\0\x04\0\0\0\0\0\x01abcd`,
    // A HEADERS frame whose header block is not valid HPACK.
    `${SETTINGS}\0\0\x04\x01\x05\0\0\0\x01\xff\xff\xff\xff`,
    // A frame with a declared length of 16 MiB.
    `${SETTINGS}\xff\xff\xff\0\0\0\0\0\x01`,
    // A SETTINGS frame whose length is not a multiple of six.
    '\0\0\x05\x04\0\0\0\0\0abcde',
  ]
  const ended = frames.map(async (frame) => {
    const socket = await openSocket(port)
    const closed = readUntilClosed(socket)
    socket.write(Buffer.from(PREFACE + frame, 'latin1'))
    await closed
  })
  await Promise.all(ended)
  const closed = readUntilClosed(others)
  others.write(REQUEST)
  assert.match((await closed).text, /^HTTP\/1\.1 200 /)
  // On a busy machine a connection may be idle for 20 ms before its request arrives, and then gets a GOAWAY.
  const statuses: number[] = []
  while (!statuses.includes(200) && statuses.length < 10) {
    statuses.push(
      await requestHttp2(port, '/v2/').then(
        ({ status }) => status,
        () => 0,
      ),
    )
  }
  assert.equal(statuses.at(-1), 200, `${statuses}`)
})
