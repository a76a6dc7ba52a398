import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect as connectPlain, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { PeerExchange } from '../../../src/peers/wire/exchange.ts'
import type { PeerServerLimits } from '../../../src/peers/wire/peer-server.ts'
import { endFrame, messageFrame, writeContentHead } from '../../../src/peers/wire/protocol/frames.ts'
import { makeAuthority } from '../../../testkit/certificates.ts'
import {
  closed,
  isFailureOf,
  issueMemberCredentials,
  neverAborted,
  type PeerLab,
  peerLab,
  receivedUntilClosed,
} from '../../../testkit/peer-lab.ts'

const signal = neverAborted()
const wait = { signal, ms: 60_000 }
const NO_CERTIFICATE = { key: undefined, cert: undefined } as never

/** A peer server that records the requests which reach it. */
async function recordingServer(
  t: TestContext,
  serverLimits: Partial<PeerServerLimits> = {},
): Promise<PeerLab & { requests: unknown[] }> {
  const requests: unknown[] = []
  const lab = await peerLab(t, {
    serverLimits,
    onExchange: async (request, exchange) => {
      requests.push(request)
      exchange.send({ secret: 'something' })
    },
  })
  return { ...lab, requests }
}

function plainSocket(t: TestContext, port: number, from = '127.0.0.1'): Socket {
  const socket = connectPlain({ port, host: '127.0.0.1', localAddress: from })
  socket.on('error', () => {})
  t.after(() => socket.destroy())
  return socket
}

async function until(reached: () => boolean): Promise<void> {
  while (!reached()) await new Promise((resolve) => setImmediate(resolve))
}

/** Checks that a member still gets an answer. A test with short deadlines allows it several tries. */
async function assertServesMembers(lab: PeerLab & { requests: unknown[] }, tries = 1): Promise<void> {
  const { request: ask, requests } = lab
  const found = await ask({ ask: 'hello' }).catch((error: unknown) => {
    if (tries === 1) throw error
  })
  if (found === undefined) return assertServesMembers(lab, tries - 1)
  const { answer, exchange } = found
  assert.deepEqual(answer, { secret: 'something' })
  assert.deepEqual(requests, [{ ask: 'hello' }])
  exchange.end()
}

test('a client without a certificate gets no answer', async (t) => {
  const lab = await recordingServer(t)
  const socket = lab.connect(NO_CERTIFICATE)
  socket.write(messageFrame({ ask: 'has' }))
  assert.equal((await receivedUntilClosed(socket)).length, 0)
  await assertServesMembers(lab)
})

test('a client with a certificate of another swarm gets no answer', async (t) => {
  const lab = await recordingServer(t)
  const stranger = issueMemberCredentials(makeAuthority())
  const socket = lab.connect({ ...stranger, ca: [lab.authority.ca] })
  socket.write(messageFrame({ ask: 'has' }))
  assert.equal((await receivedUntilClosed(socket)).length, 0)
  await assertServesMembers(lab)
})

test('a client of another swarm gets no answer by resuming a TLS session', async (t) => {
  const lab = await recordingServer(t)
  const stranger = { ...issueMemberCredentials(makeAuthority()), ca: [lab.authority.ca] }
  const sessions: Buffer[] = []
  const first = lab.connect(stranger)
  first.on('session', (session) => sessions.push(session))
  await receivedUntilClosed(first)
  // OpenSSL may issue a session, because to it the handshake is complete before Node checks the certificate.
  for (const session of sessions) {
    const again = lab.connect(stranger, { session })
    again.write(messageFrame({ ask: 'has' }))
    assert.equal((await receivedUntilClosed(again)).length, 0)
  }
  await assertServesMembers(lab)
})

test('TLS 1.2 is refused', async (t) => {
  const lab = await recordingServer(t)
  const socket = lab.connect(lab.clientCredentials, { maxVersion: 'TLSv1.2' })
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
  assert.match(String(error.code), /PROTOCOL_VERSION/)
  await assertServesMembers(lab)
})

for (const [what, text] of [
  ['HTTP', 'GET /v2/ HTTP/1.1\r\nHost: here\r\n\r\n'],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['SSH', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['random bytes', '\x00\xff\x10'.repeat(1000)],
  ['a TLS record of the largest length', '\x16\x03\x01\xff\xff'.padEnd(70_000, '\x01')],
] as const) {
  test(`a client that sends ${what} gets at most a TLS alert`, async (t) => {
    const lab = await recordingServer(t)
    const socket = plainSocket(t, lab.port)
    socket.write(text, 'latin1')
    const received = await receivedUntilClosed(socket)
    // A TLS alert has a head of five bytes, of type 21, and two bytes.
    assert.ok(
      received.length === 0 || (received.length === 7 && received[0] === 21),
      received.toString('latin1'),
    )
    await assertServesMembers(lab)
  })
}

test('a connection without a complete handshake is closed', async (t) => {
  const lab = await recordingServer(t, { handshakeMs: 100 })
  const silent = plainSocket(t, lab.port)
  const slow = plainSocket(t, lab.port)
  slow.write(Buffer.from([0x16, 3, 1]))
  const half = plainSocket(t, lab.port)
  half.end()
  const received = await Promise.all([silent, slow, half].map(receivedUntilClosed))
  assert.deepEqual(
    received.map(({ length }) => length),
    [0, 0, 0],
  )
  await assertServesMembers(lab, 20)
})

test('a flood of connections from one address does not keep members out', async (t) => {
  const lab = await recordingServer(t, { maxUnauthenticatedPerAddress: 8, handshakeMs: 60_000 })
  const flood = Array.from({ length: 200 }, () => plainSocket(t, lab.port, '127.0.0.9'))
  let gone = 0
  for (const socket of flood) {
    void closed(socket).then(() => {
      gone += 1
    })
  }
  await until(() => gone >= 192)
  await assertServesMembers(lab)
  assert.equal(gone, 192)
})

test('a flood of connections from many addresses does not keep members out', async (t) => {
  const lab = await recordingServer(t, {
    maxUnauthenticated: 32,
    maxUnauthenticatedPerAddress: 8,
    handshakeMs: 60_000,
  })
  const flood = Array.from({ length: 30 }, (_, n) =>
    Array.from({ length: 8 }, () => plainSocket(t, lab.port, `127.0.1.${n + 1}`)),
  ).flat()
  let gone = 0
  for (const socket of flood) void closed(socket).then(() => (gone += 1))
  await until(() => gone >= flood.length - 32)
  await assertServesMembers(lab)
  assert.ok(gone <= flood.length - 30, `${gone} of ${flood.length} were closed`)
})

test('a recorded connection of a member cannot be replayed', async (t) => {
  const lab = await recordingServer(t)
  const sent: Buffer[] = []
  const relay = createServer((near) => {
    const far = plainSocket(t, lab.port)
    near.on('data', (bytes: Buffer) => sent.push(bytes)).pipe(far)
    far.pipe(near)
    near.on('error', () => far.destroy())
    far.on('close', () => near.destroy())
  })
  await once(relay.listen(0, '127.0.0.1'), 'listening')
  t.after(() => relay.close())
  const member = lab.connect(lab.clientCredentials, { port: (relay.address() as AddressInfo).port })
  member.write(messageFrame({ ask: 'hello' }))
  await once(member, 'data')
  member.destroy()
  assert.equal(lab.requests.length, 1)
  const replaying = plainSocket(t, lab.port)
  replaying.write(Buffer.concat(sent))
  const received = await receivedUntilClosed(replaying)
  // Any client gets the server's half of a handshake and an alert.
  assert.ok(!received.includes('something') && received.length < 4096)
  assert.equal(lab.requests.length, 1)
})

test('an address with many failed handshakes is refused before the handshake', async (t) => {
  const lab = await recordingServer(t, { maxFailures: 3, failureWindowMs: 60_000 })
  for (let n = 0; n < 3; n += 1) {
    await receivedUntilClosed(lab.connect(NO_CERTIFICATE, { localAddress: '127.0.0.9' }))
  }
  // The server may not have noticed yet that the last connection was closed.
  for (let isRefused = false; !isRefused; ) {
    const socket = plainSocket(t, lab.port, '127.0.0.9')
    isRefused = await Promise.race([closed(socket).then(() => true), delay(500, false)])
    socket.destroy()
  }
  await assertServesMembers(lab)
})

test('connections beyond maxConnections are refused', async (t) => {
  const lab = await recordingServer(t, { maxConnections: 2 })
  const first = lab.connect()
  await once(first, 'secureConnect')
  const second = lab.connect()
  await once(second, 'secureConnect')
  await receivedUntilClosed(lab.connect())
  first.destroy()
  await closed(first)
  assert.equal(second.readyState, 'open')
})

for (const [what, bytes] of [
  ['a message that is too long', Buffer.from([0, 1, 0, 1, 0])],
  ['a frame of an unknown kind', Buffer.from([0, 0, 0, 1, 9, 1])],
  ['a message that is not JSON', Buffer.from([0, 0, 0, 1, 0, 0x7b])],
  ['content that nobody requests for', Buffer.from([0, 0, 0, 1, 1, 1])],
  ['an end before any request', endFrame()],
] as const) {
  test(`a member that sends ${what} is disconnected`, async (t) => {
    const lab = await recordingServer(t, { firstRequestMs: 60_000 })
    const socket = lab.connect()
    socket.write(bytes)
    assert.equal((await receivedUntilClosed(socket)).length, 0)
    await assertServesMembers(lab)
  })
}

test('a member that sends no request is disconnected', async (t) => {
  const lab = await recordingServer(t, { firstRequestMs: 100 })
  const silent = lab.connect()
  const slow = lab.connect()
  slow.write(Buffer.from([0, 0, 0, 9, 0, 0x7b]))
  assert.deepEqual(
    (await Promise.all([receivedUntilClosed(silent), receivedUntilClosed(slow)])).map(String),
    ['', ''],
  )
})

test('an idle connection is closed', async (t) => {
  const lab = await recordingServer(t, { idleMs: 100 })
  const socket = lab.connect()
  socket.write(Buffer.concat([messageFrame({ ask: 'hello' }), endFrame()]))
  const received = await receivedUntilClosed(socket)
  assert.deepEqual(received, Buffer.concat([messageFrame({ secret: 'something' }), endFrame()]))
})

test('the next request may follow in the same packet as the end of the previous exchange', async (t) => {
  const lab = await recordingServer(t, { idleMs: 100 })
  const socket = lab.connect()
  socket.write(messageFrame({ n: 1 }))
  await until(() => lab.requests.length === 1)
  socket.write(Buffer.concat([endFrame(), messageFrame({ n: 2 }), endFrame()]))
  const one = Buffer.concat([messageFrame({ secret: 'something' }), endFrame()])
  assert.deepEqual(await receivedUntilClosed(socket), Buffer.concat([one, one]))
  assert.deepEqual(lab.requests, [{ n: 1 }, { n: 2 }])
})

test('a member that sends a message after its own end is disconnected', async (t) => {
  let ended: Promise<unknown> | undefined
  const lab = await peerLab(t, {
    onExchange: async (_request, exchange) => {
      ended = exchange.receive(wait)
      await ended
      if (!exchange.closed.aborted) await once(exchange.closed, 'abort')
    },
  })
  const socket = lab.connect()
  socket.write(Buffer.concat([messageFrame({}), endFrame(), messageFrame({})]))
  await receivedUntilClosed(socket)
  assert.equal(await ended, undefined)
})

test('a member that does not end an exchange in time is disconnected', async (t) => {
  const { connect: speak } = await peerLab(t, {
    serverResources: { lingerMs: 100 },
    onExchange: async () => {},
  })
  const socket = speak()
  socket.write(messageFrame({}))
  assert.deepEqual(await receivedUntilClosed(socket), endFrame())
})

test('a content frame without its bytes fails only its own connection', async (t) => {
  let failed: unknown
  const { connect: speak } = await peerLab(t, {
    onExchange: async (_request, exchange) => {
      await exchange.receive({ signal, ms: 100 }).catch((error: unknown) => {
        failed = error
      })
    },
  })
  const socket = speak()
  const head = Buffer.alloc(5)
  writeContentHead(head, 1000)
  socket.write(Buffer.concat([messageFrame({}), head]))
  await receivedUntilClosed(socket)
  assert.throws(
    () => {
      throw failed
    },
    isFailureOf('unavailable', /content/, 'asker'),
  )
})

test('an exchange that throws ends, and the server still answers the next one', async (t) => {
  let n = 0
  const { request: ask, client } = await peerLab(t, {
    onExchange: async (_request, exchange) => {
      n += 1
      if (n === 1) throw new Error('a mistake')
      exchange.send({ n })
    },
  })
  await assert.rejects(ask(), isFailureOf('unavailable', /ended the exchange without an answer/))
  const { answer, exchange } = await ask()
  assert.deepEqual(answer, { n: 2 })
  assert.equal(await exchange.receive(wait), undefined)
  exchange.end()
  assert.equal(client.idleConnections, 1)
})

test('a stopping server lets exchanges under way end', async (t) => {
  let finish = () => {}
  const lab = await peerLab(t, {
    onExchange: async (_request, exchange: PeerExchange) => {
      exchange.send({ n: 1 })
      await new Promise<void>((resolve) => {
        finish = resolve
      })
      exchange.send({ n: 2 })
    },
  })
  const idle = lab.connect()
  await once(idle, 'secureConnect')
  const { exchange } = await lab.request()
  const stopped = lab.server.stop({ drainMs: 60_000 })
  await receivedUntilClosed(idle)
  const late = plainSocket(t, lab.port)
  await closed(late)
  finish()
  assert.deepEqual(await exchange.receive(wait), { n: 2 })
  assert.equal(await exchange.receive(wait), undefined)
  exchange.end()
  await stopped
})

test('a stopping server aborts the exchanges that take longer than drainMs', async (t) => {
  let broken: unknown
  const lab = await peerLab(t, {
    onExchange: async (_request, exchange: PeerExchange) => {
      exchange.send({ n: 1 })
      await exchange.receive({ signal, ms: 60_000 }).catch((error: unknown) => {
        broken = error
        throw error
      })
    },
  })
  const { exchange } = await lab.request()
  await lab.server.stop({ drainMs: 50 })
  assert.throws(
    () => {
      throw broken
    },
    isFailureOf('unavailable', /./, 'asker'),
  )
  await assert.rejects(exchange.receive(wait), isFailureOf('unavailable', /./))
})
