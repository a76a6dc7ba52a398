import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { ask, askHttp2, dial, openDoor, raw, untilClosed } from '../front-door.ts'

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
// An empty SETTINGS frame, RFC 9113 section 6.5; what a server answers first is one too, type 4 on stream 0.
const SETTINGS = '\0\0\0\x04\0\0\0\0\0'
const REQUEST = 'GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'

test('one port speaks both protocols', async (t) => {
  const { port } = await openDoor(t)
  const answers = await Promise.all([
    ask(port, '/v2/'),
    askHttp2(port, '/v2/'),
    ask(port, '/v2/'),
    askHttp2(port, '/v2/'),
  ])
  assert.deepEqual(
    answers.map(({ status, body }) => `${status} ${body}`),
    new Array(4).fill('200 {}'),
  )
})

test('a preface that comes byte by byte is still a preface', async (t) => {
  const { port } = await openDoor(t)
  const socket = await dial(port)
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

test('a request that comes byte by byte is still a request', async (t) => {
  const { port } = await openDoor(t)
  const socket = await dial(port)
  socket.setNoDelay(true)
  const closed = untilClosed(socket)
  for (const byte of REQUEST) {
    socket.write(byte)
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.match((await closed).text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*\{\}$/)
})

test('what only begins like the preface is answered as HTTP/1.1', async (t) => {
  const { port } = await openDoor(t)
  for (const beginning of [
    'PRI * HTTP/1.1\r\nHost: x\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n',
    'PUT /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  ]) {
    assert.match(await raw(port, beginning), /^HTTP\/1\.1 4\d\d /, beginning)
  }
  assert.equal((await ask(port, '/v2/')).status, 200)
})

test('a preface that stays half is cut off with 400', async (t) => {
  const { port } = await openDoor(t, { limits: { headersMs: 50 } })
  assert.match(await raw(port, PREFACE.slice(0, 10)), /^HTTP\/1\.1 400 /)
})

test('a connection that says nothing is closed without a word', async (t) => {
  const { port } = await openDoor(t, { limits: { silentMs: 20 } })
  assert.deepEqual(await untilClosed(await dial(port)), { text: '', reset: false })
})

test('connections that come and go without a word leave nothing behind', async (t) => {
  const { port, server } = await openDoor(t)
  for (let i = 0; i < 20; i += 1) (await dial(port)).destroy()
  for (let i = 0; i < 20; i += 1) (await dial(port)).resetAndDestroy()
  const half = await dial(port)
  half.end('PRI')
  await untilClosed(half)
  assert.equal((await ask(port, '/v2/')).status, 200)
  await server.close()
})

test('garbage after the preface ends that connection only', async (t) => {
  const { port } = await openDoor(t, { limits: { keepAliveMs: 20 } })
  const others = await dial(port)
  const frames = [
    '\xff'.repeat(200),
    // A DATA frame on a stream that was never opened.
    `${SETTINGS}\0\0\x04\0\0\0\0\0\x01abcd`,
    // A HEADERS frame whose block is no HPACK.
    `${SETTINGS}\0\0\x04\x01\x05\0\0\0\x01\xff\xff\xff\xff`,
    // A frame that says it has 16 MiB.
    `${SETTINGS}\xff\xff\xff\0\0\0\0\0\x01`,
    // SETTINGS with a length that cannot be.
    '\0\0\x05\x04\0\0\0\0\0abcde',
  ]
  const ended = frames.map(async (frame) => {
    const socket = await dial(port)
    const closed = untilClosed(socket)
    socket.write(Buffer.from(PREFACE + frame, 'latin1'))
    await closed
  })
  await Promise.all(ended)
  const closed = untilClosed(others)
  others.write(REQUEST)
  assert.match((await closed).text, /^HTTP\/1\.1 200 /)
  // On a busy machine a connection may be idle for 20 ms before its request comes, and is said goodbye to.
  const statuses: number[] = []
  while (!statuses.includes(200) && statuses.length < 10) {
    statuses.push(
      await askHttp2(port, '/v2/').then(
        ({ status }) => status,
        () => 0,
      ),
    )
  }
  assert.equal(statuses.at(-1), 200, `${statuses}`)
})
