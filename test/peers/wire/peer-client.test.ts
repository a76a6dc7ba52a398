import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import type { PeerExchange } from '../../../src/peers/wire/exchange.ts'
import { PeerClient } from '../../../src/peers/wire/peer-client.ts'
import { endFrame, messageFrame } from '../../../src/peers/wire/protocol/frames.ts'
import { Failure } from '../../../src/ports/failure.ts'
import { makeAuthority } from '../../../testkit/certificates.ts'
import {
  connectionResources,
  isFailureOf,
  issueMemberCredentials,
  memberAt,
  neverAborted,
  peerLab,
} from '../../../testkit/peer-lab.ts'

const signal = neverAborted()
const wait = { signal, ms: 60_000 }
const HELLO = { ask: 'hello' }
const ANSWER = Buffer.concat([messageFrame({ is: 'answer' }), endFrame()])

async function greet(_request: unknown, exchange: PeerExchange): Promise<void> {
  exchange.send({ hello: exchange.member?.name })
}

/** Ends an exchange on both sides, so that its connection is reused. */
async function endOf({ answer, exchange }: { answer: unknown; exchange: PeerExchange }): Promise<unknown> {
  assert.equal(await exchange.receive(wait), undefined)
  exchange.end()
  return answer
}

/** A member whose bytes are written by the test. */
async function scripted(t: TestContext, onSocket: (socket: TLSSocket, n: number) => void) {
  const authority = makeAuthority()
  const credentials = issueMemberCredentials(authority)
  const sockets: TLSSocket[] = []
  const server = createTlsServer({ cert: credentials.cert, key: credentials.key }, (socket) => {
    socket.on('error', () => {})
    sockets.push(socket)
    onSocket(socket, sockets.length)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = new PeerClient({
    credentials: issueMemberCredentials(authority),
    resources: connectionResources(),
    limits: { connectMs: 60_000 },
  })
  t.after(() => {
    client.close()
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const member = memberAt(credentials, '127.0.0.1', (server.address() as AddressInfo).port)
  return { member, client, sockets, authority, request: () => client.request(member, HELLO, wait) }
}

test('a connection is reused, and the member is still known on it', async (t) => {
  const { request, client } = await peerLab(t, { onExchange: greet })
  for (let n = 0; n < 5; n += 1) {
    assert.deepEqual(await endOf(await request()), { hello: 'asker' })
    assert.equal(client.idleConnections, 1)
  }
})

test('a new connection resumes the TLS session, and the member is known on it', async (t) => {
  const { request, client } = await peerLab(t, { onExchange: greet, clientLimits: { maxIdlePerMember: 0 } })
  const resumed: number[] = []
  for (let n = 0; n < 3; n += 1) {
    const started = await request()
    assert.deepEqual(await endOf(started), { hello: 'asker' })
    assert.equal(client.idleConnections, 0)
    resumed.push(client.resumedSessions)
  }
  assert.deepEqual(resumed, [0, 1, 2])
})

test('a server with the certificate of another member gets no bytes', async (t) => {
  let receivedBytes = 0
  const { client, member, authority } = await scripted(t, (socket) => {
    socket.on('data', (chunk: Buffer) => {
      receivedBytes += chunk.length
    })
    socket.on('end', () => socket.end())
  })
  const other = issueMemberCredentials(authority)
  const wrong = { ...member, fingerprint: other.fingerprint }
  const message = /presented a certificate that is not its own/
  await assert.rejects(client.request(wrong, HELLO, wait), isFailureOf('unavailable', message))
  assert.equal(receivedBytes, 0)
})

test('a server that is addressed under the id of another member gets no bytes, not even after a connection under its own', async (t) => {
  let receivedBytes = 0
  const { client, member, authority } = await scripted(t, (socket) => {
    socket.on('data', (chunk: Buffer) => {
      receivedBytes += chunk.length
      socket.write(ANSWER)
    })
  })
  await endOf(await client.request(member, HELLO, wait))
  const before = receivedBytes
  const victim = { ...member, id: issueMemberCredentials(authority).id }
  await assert.rejects(client.request(victim, HELLO, wait), isFailureOf('unavailable', /not its own/))
  // The end frame of the first exchange arrives on the first connection.
  while (receivedBytes === before) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(receivedBytes, before + endFrame().length)
})

test('a server with a certificate of another swarm gets no bytes', async (t) => {
  let receivedBytes = 0
  const { member } = await scripted(t, (socket) => {
    socket.on('data', (chunk: Buffer) => {
      receivedBytes += chunk.length
      socket.write(ANSWER)
    })
  })
  const client = new PeerClient({
    credentials: issueMemberCredentials(makeAuthority()),
    resources: connectionResources(),
    limits: { connectMs: 60_000 },
  })
  t.after(() => client.close())
  await assert.rejects(
    client.request(member, HELLO, wait),
    isFailureOf('unavailable', /UNABLE_TO_VERIFY|SELF_SIGNED/),
  )
  assert.equal(receivedBytes, 0)
})

test('the failure of a refused connection names the member', async (t) => {
  const { member, client } = await scripted(t, () => {})
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  await assert.rejects(
    client.request({ ...member, port }, HELLO, wait),
    isFailureOf('unavailable', /ECONNREFUSED/),
  )
})

test('a handshake that takes too long fails', async (t) => {
  const { member } = await scripted(t, () => {})
  const sockets: Socket[] = []
  const server = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = new PeerClient({
    credentials: issueMemberCredentials(makeAuthority()),
    resources: connectionResources(),
    limits: { connectMs: 50 },
  })
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  await assert.rejects(
    client.request({ ...member, port }, HELLO, wait),
    isFailureOf('unavailable', /no connection within 50 ms/),
  )
})

test('a request without an answer fails after its deadline', async (t) => {
  const { client, member, sockets } = await scripted(t, () => {})
  // On a busy machine the deadline may pass before the server has accepted the connection.
  do {
    await assert.rejects(
      client.request(member, HELLO, { signal, ms: 50 }),
      isFailureOf('unavailable', /nothing within 50 ms/),
    )
  } while (sockets.length === 0)
  const [socket] = sockets
  assert.ok(socket !== undefined)
  if (!socket.closed) await once(socket.resume(), 'close')
})

test('a request can be aborted at any time', async (t) => {
  const { client, member } = await scripted(t, () => {})
  const reason = new Error('left')
  await assert.rejects(client.request(member, HELLO, { signal: AbortSignal.abort(reason), ms: 100 }), /left/)
  const connecting = new AbortController()
  const asked = client.request(member, HELLO, { signal: connecting.signal, ms: 60_000 })
  connecting.abort(reason)
  await assert.rejects(asked, /left/)
  const answering = new AbortController()
  const { client: other, member: silent } = await scripted(t, () =>
    setImmediate(() => answering.abort(reason)),
  )
  await assert.rejects(other.request(silent, HELLO, { signal: answering.signal, ms: 60_000 }), /left/)
})

test('a request over a broken idle connection is sent again over a new one', async (t) => {
  let asked = 0
  const { request, client, sockets } = await scripted(t, (socket) => {
    socket.on('data', (chunk: Buffer) => {
      // The end frame of the previous exchange arrives alone.
      if (chunk.length === endFrame().length) return
      asked += 1
      // The first connection breaks at the second request.
      if (asked === 2) socket.destroy()
      else socket.write(ANSWER)
    })
  })
  await endOf(await request())
  assert.equal(client.idleConnections, 1)
  assert.deepEqual(await endOf(await request()), { is: 'answer' })
  assert.equal(sockets.length, 2)
  assert.equal(asked, 3)
})

test('a request is not sent a third time when the new connection breaks too', async (t) => {
  let asked = 0
  const { request, sockets } = await scripted(t, (socket) => {
    socket.on('data', (chunk: Buffer) => {
      if (chunk.length === endFrame().length) return
      asked += 1
      if (asked === 1) socket.write(ANSWER)
      else socket.destroy()
    })
  })
  await endOf(await request())
  await assert.rejects(request(), isFailureOf('unavailable', /./))
  assert.equal(sockets.length, 2)
})

test('a request is not sent again when the connection breaks in the middle of the answer', async (t) => {
  let asked = 0
  const { request, sockets } = await scripted(t, (socket) => {
    socket.on('data', (chunk: Buffer) => {
      if (chunk.length === endFrame().length) return
      asked += 1
      if (asked === 1) socket.write(ANSWER)
      else socket.end(ANSWER.subarray(0, 3))
    })
  })
  await endOf(await request())
  await assert.rejects(request(), isFailureOf('unavailable', /./))
  assert.equal(sockets.length, 1)
})

test('an idle connection on which data arrives is closed', async (t) => {
  const { request, client, sockets } = await scripted(t, (socket) => {
    socket.on('data', (chunk: Buffer) => {
      if (chunk.length > endFrame().length) socket.write(ANSWER)
      else socket.write(messageFrame({ is: 'forged' }))
    })
  })
  await endOf(await request())
  const [socket] = sockets
  assert.ok(socket !== undefined)
  await once(socket, 'close')
  while (client.idleConnections > 0) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual((await request()).answer, { is: 'answer' })
})

test('few idle connections are kept', async (t) => {
  const { request, client } = await peerLab(t, {
    onExchange: greet,
    clientLimits: { maxIdlePerMember: 2, idleMs: 60_000 },
  })
  const all = await Promise.all([request(), request(), request(), request()])
  for (const started of all) await endOf(started)
  assert.equal(client.idleConnections, 2)
})

test('idle connections are closed after a while', async (t) => {
  const { request, client } = await peerLab(t, { onExchange: greet, clientLimits: { idleMs: 50 } })
  await endOf(await request())
  while (client.idleConnections > 0) await new Promise((resolve) => setTimeout(resolve, 5))
})

test('a message that is too long is not sent', async (t) => {
  const { client, member, sockets } = await scripted(t, () => {})
  await assert.rejects(client.request(member, { text: 'x'.repeat(70_000) }, wait), RangeError)
  assert.ok(sockets.every((socket) => socket.bytesRead === 0))
})

test('closing the client fails the requests under way and those that follow', async (t) => {
  const { request, client, sockets } = await scripted(t, () => {})
  const asked = request()
  while (sockets.length === 0) await new Promise((resolve) => setImmediate(resolve))
  client.close()
  const stopping = (error: unknown) => error instanceof Failure && error.code === 'stopping'
  await assert.rejects(asked, stopping)
  await assert.rejects(request(), stopping)
  assert.equal(client.idleConnections, 0)
})
