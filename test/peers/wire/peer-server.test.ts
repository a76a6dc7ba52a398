import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import type { PeerExchange } from '../../../src/peers/wire/control/exchange.ts'
import { contentPath } from '../../../src/peers/wire/protocol/content-path.ts'
import { makeAuthority } from '../../../testkit/certificates.ts'
import {
  closed,
  isFailureOf,
  issueMemberCredentials,
  neverAborted,
  peerLab,
  receivedUntilClosed,
  WANT,
} from '../../../testkit/peer-lab.ts'
import { assertServesMembers, plainSocket, recordingServer } from './recording-server.ts'

const signal = neverAborted()
const wait = { signal, ms: 60_000 }
const GET = `GET ${contentPath(WANT)} HTTP/1.1\r\n\r\n`
const HTTP1 = { ALPNProtocols: ['http/1.1'] }
const NO_CERTIFICATE = { key: undefined, cert: undefined } as never

test('a client without a certificate gets no answer', async (t) => {
  const lab = await recordingServer(t)
  const socket = lab.connect(NO_CERTIFICATE, HTTP1)
  socket.write(GET)
  assert.equal((await receivedUntilClosed(socket)).length, 0)
  await assertServesMembers(lab)
})

test('a client with a certificate of another swarm gets no answer', async (t) => {
  const lab = await recordingServer(t)
  const stranger = issueMemberCredentials(makeAuthority())
  const socket = lab.connect({ ...stranger, ca: [lab.authority.ca] }, HTTP1)
  socket.write(GET)
  assert.equal((await receivedUntilClosed(socket)).length, 0)
  await assertServesMembers(lab)
})

test('a client of another swarm gets no answer by resuming a TLS session', async (t) => {
  const lab = await recordingServer(t)
  const stranger = { ...issueMemberCredentials(makeAuthority()), ca: [lab.authority.ca] }
  const sessions: Buffer[] = []
  const first = lab.connect(stranger, HTTP1)
  first.on('session', (session) => sessions.push(session))
  await receivedUntilClosed(first)
  // OpenSSL may issue a session, because to it the handshake is complete before Node checks the certificate.
  for (const session of sessions) {
    const again = lab.connect(stranger, { ...HTTP1, session })
    again.write(GET)
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
  const member = lab.connect(lab.clientCredentials, {
    ...HTTP1,
    port: (relay.address() as AddressInfo).port,
  })
  member.write(GET)
  await once(member, 'data')
  member.destroy()
  assert.equal(lab.paths.length, 1)
  const replaying = plainSocket(t, lab.port)
  replaying.write(Buffer.concat(sent))
  const received = await receivedUntilClosed(replaying)
  // Any client gets the server's half of a handshake and an alert.
  assert.ok(!received.includes('something') && received.length < 4096)
  assert.equal(lab.paths.length, 1)
})

for (const [what, options] of [
  ['that names no protocol, as those of former versions do', { ALPNProtocols: undefined }],
  ['of another protocol', { ALPNProtocols: ['leat/9'] }],
] as const) {
  test(`a member ${what} is disconnected`, async (t) => {
    const lab = await recordingServer(t)
    const socket = lab.connect(lab.clientCredentials, options)
    socket.write(GET)
    assert.equal((await receivedUntilClosed(socket)).length, 0)
    await assertServesMembers(lab)
  })
}

test('an exchange that throws ends, and the server still answers the next one', async (t) => {
  let n = 0
  const { request: ask } = await peerLab(t, {
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
  const idle = lab.connect(lab.clientCredentials, HTTP1)
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
