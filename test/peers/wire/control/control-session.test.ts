import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2'
import { type TestContext, test } from 'node:test'
import { exchangePath, MAX_STREAMS } from '../../../../src/peers/wire/control/control-session.ts'
import { messageLine } from '../../../../src/peers/wire/control/message-lines.ts'
import { closed, type PeerLab, peerLab, receivedUntilClosed } from '../../../../testkit/peer-lab.ts'
import { fieldBlock, literal } from '../../../../testkit/raw-http/hpack.ts'
import {
  continuation,
  data,
  headers,
  PREFACE,
  ping,
  rstStream,
  settings,
} from '../../../../testkit/raw-http/http2-frames.ts'
import { assertServesMembers, type RecordingServer, recordingServer, until } from '../recording-server.ts'

const HTTP2 = { ALPNProtocols: ['h2'] }
const PATH = exchangePath(3)
const EXCHANGE = { ':method': 'POST', ':path': PATH }
const START = Buffer.concat([PREFACE, settings([])])
const HEAD = fieldBlock([
  [':method', 'POST'],
  [':scheme', 'https'],
  [':path', PATH],
  [':authority', 'peer'],
])

async function session(t: TestContext, lab: PeerLab): Promise<ClientHttp2Session> {
  const socket = lab.connect(lab.clientCredentials, HTTP2)
  await once(socket, 'secureConnect')
  const opened = connectHttp2('https://peer', { createConnection: () => socket })
  opened.on('error', () => {})
  t.after(() => opened.destroy())
  return opened
}

/** Sends bytes in place of an exchange, and gives how the stream ended. */
async function streamWith(
  opened: ClientHttp2Session,
  bytes: Uint8Array | undefined,
  head: object = EXCHANGE,
) {
  const stream = opened.request({ ...head } as never)
  stream.on('error', () => {})
  let status: number | undefined
  stream.on('response', (answer) => {
    status = answer[':status']
  })
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  if (bytes !== undefined) stream.end(bytes)
  await new Promise<void>((resolve) => stream.once('close', () => resolve()))
  return { status, text: Buffer.concat(chunks).toString(), rstCode: stream.rstCode }
}

for (const [what, bytes] of [
  ['a message that is too long', Buffer.alloc(100_000, 0x20)],
  ['a message that is not JSON', Buffer.from('{\n')],
  ['an empty line', Buffer.from('\n')],
  ['bytes that are not UTF-8', Buffer.from([0xff, 0x0a])],
  ['no request', Buffer.alloc(0)],
  ['a part of a request', Buffer.from('{"ask"')],
] as const) {
  test(`an exchange with ${what} is reset, and the session goes on`, async (t) => {
    const lab = await recordingServer(t)
    const opened = await session(t, lab)
    const { text } = await streamWith(opened, bytes)
    assert.equal(text, '')
    assert.deepEqual(lab.requests, [])
    assert.equal((await streamWith(opened, messageLine({ ask: 'hello' }))).text, '{"secret":"something"}\n')
    lab.requests.length = 0
    await assertServesMembers(lab)
  })
}

for (const [what, head] of [
  ['another version', { ':method': 'POST', ':path': exchangePath(2) }],
  ['another path', { ':method': 'POST', ':path': '/v2/' }],
  ['another method', { ':method': 'PUT', ':path': PATH }],
] as const) {
  test(`a request of ${what} is answered with 404`, async (t) => {
    const lab = await recordingServer(t)
    const opened = await session(t, lab)
    const { status, text } = await streamWith(opened, messageLine({ ask: 'hello' }), head)
    assert.deepEqual([status, text], [404, ''])
    await assertServesMembers(lab)
  })
}

test('headers that are too large reach no exchange', async (t) => {
  const lab = await recordingServer(t)
  const opened = await session(t, lab)
  const large = { ...EXCHANGE, a: 'a'.repeat(5000) }
  const many = { ...EXCHANGE, ...Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`a${n}`, ''])) }
  // The limits are settings, which this side has when it gets the answer to its first request.
  await streamWith(opened, messageLine({ ask: 'hello' }))
  lab.requests.length = 0
  for (const head of [large, many]) {
    const { text } = await streamWith(opened, messageLine({ ask: 'hello' }), head)
    assert.equal(text, '')
  }
  assert.deepEqual(lab.requests, [])
  await assertServesMembers(lab)
})

test('an exchange that does not send its request in time is reset', async (t) => {
  const lab = await recordingServer(t, { firstRequestMs: 100, idleMs: 60_000 })
  const opened = await session(t, lab)
  assert.equal((await streamWith(opened, undefined)).rstCode, constants.NGHTTP2_CANCEL)
})

test('a session has a limited number of exchanges, and the others on it go on', async (t) => {
  let begun = 0
  const lab = await peerLab(t, {
    onExchange: async (_request, exchange) => {
      begun += 1
      exchange.send({})
      await exchange.receive({ signal: exchange.closed, ms: 60_000 })
    },
  })
  const opened = await session(t, lab)
  await once(opened, 'remoteSettings')
  const streams = Array.from({ length: MAX_STREAMS + 20 }, () => {
    const stream = opened.request({ ...EXCHANGE })
    stream.on('error', () => {})
    stream.write(messageLine({}))
    return stream
  })
  await until(() => begun === MAX_STREAMS)
  for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(begun, MAX_STREAMS)
  for (const stream of streams.slice(0, 20)) stream.end()
  await until(() => begun === MAX_STREAMS + 20)
})

/** What a member writes until its connection is closed, as often as the socket takes it. */
const FLOODS: readonly (readonly [string, (n: number) => Uint8Array])[] = [
  ['pings', () => Buffer.concat(Array.from({ length: 1000 }, () => ping()))],
  ['settings', () => Buffer.concat(Array.from({ length: 1000 }, () => settings([])))],
  [
    'streams that are reset at once',
    (n) =>
      Buffer.concat(
        Array.from({ length: 100 }, (_, i) => {
          const stream = 2 * (100 * n + i) + 1
          return Buffer.concat([headers(stream, HEAD, { endStream: false }), rstStream(stream)])
        }),
      ),
  ],
  [
    'a head without end',
    (n) =>
      n === 0
        ? headers(1, HEAD, { endStream: false, endHeaders: false })
        : continuation(1, literal([`a${n}`, 'a'.repeat(1000)]), { endHeaders: false }),
  ],
  [
    'empty data',
    (n) =>
      n === 0 ? headers(1, HEAD, { endStream: false }) : data(1, Buffer.alloc(0), { endStream: false }),
  ],
]

async function flood(lab: RecordingServer, bytes: (n: number) => Uint8Array): Promise<void> {
  const socket = lab.connect(lab.clientCredentials, HTTP2)
  await once(socket, 'secureConnect')
  socket.resume()
  socket.write(START)
  const over = closed(socket)
  for (let n = 0; !socket.destroyed; n += 1) {
    assert.ok(n < 200_000, 'the connection stays open')
    if (!socket.write(bytes(n))) await Promise.race([once(socket, 'drain').catch(() => {}), over])
    else if (n % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  await over
}

for (const [what, bytes] of FLOODS) {
  test(`a member that floods a session with ${what} is disconnected`, async (t) => {
    const lab = await recordingServer(t)
    await flood(lab, bytes)
    lab.requests.length = 0
    await assertServesMembers(lab)
  })
}

for (const [what, bytes] of [
  ['data without a stream', () => data(99, Buffer.alloc(1000), { endStream: false })],
  ['bytes that are no frames', () => Buffer.alloc(10_000, 0xff)],
] as const) {
  test(`a member that sends ${what} is read no more, and disconnected after a while`, async (t) => {
    const lab = await recordingServer(t, { firstRequestMs: 500 })
    await flood(lab, bytes)
    lab.requests.length = 0
    await assertServesMembers(lab, 20)
  })
}

test('a member that sends no request, or no preface of HTTP/2, is disconnected', async (t) => {
  const lab = await recordingServer(t, { firstRequestMs: 100 })
  const [silent, slow, idle] = [0, 1, 2].map(() => lab.connect(lab.clientCredentials, HTTP2))
  slow?.write(PREFACE.subarray(0, 10))
  idle?.write(START)
  await Promise.all([silent, slow, idle].map(async (socket) => socket && receivedUntilClosed(socket)))
})

test('a session without an exchange is closed after a while', async (t) => {
  const lab = await recordingServer(t, { idleMs: 100 })
  const opened = await session(t, lab)
  await streamWith(opened, messageLine({ ask: 'hello' }))
  if (!opened.destroyed) await once(opened, 'close')
})

test('a member has a limited number of sessions, and the newest stay', async (t) => {
  const lab = await recordingServer(t)
  const sessions: ClientHttp2Session[] = []
  for (let n = 0; n < 12; n += 1) {
    const opened = await session(t, lab)
    sessions.push(opened)
    await streamWith(opened, messageLine({ ask: 'hello' }))
  }
  await until(() => sessions.slice(0, 4).every(({ destroyed }) => destroyed))
  assert.ok(sessions.slice(4).every(({ destroyed }) => !destroyed))
})
