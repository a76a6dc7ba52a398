import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import type { Line } from '../../../src/peers/wire/exchange.ts'
import { messageFrame, overFrame } from '../../../src/peers/wire/frames.ts'
import { Dialer } from '../../../src/peers/wire/peer-client.ts'
import { Failure } from '../../../src/ports/failure.ts'
import { makeAuthority } from '../../../testkit/certificates.ts'
import { failure, issue, memberAt, peerLab, traffic, unending } from '../../../testkit/peer-lab.ts'

const signal = unending()
const wait = { signal, ms: 60_000 }
const HELLO = { ask: 'hello' }
const ANSWER = Buffer.concat([messageFrame({ is: 'answer' }), overFrame()])

async function greet(_first: unknown, line: Line): Promise<void> {
  line.send({ hello: line.member?.name })
}

/** To its end, so that the connection is kept. */
async function whole({ answer, line }: { answer: unknown; line: Line }): Promise<unknown> {
  assert.equal(await line.receive(wait), undefined)
  line.end()
  return answer
}

/** A member whose answers are written by the test. */
async function scripted(t: TestContext, onSocket: (socket: TLSSocket, n: number) => void) {
  const authority = makeAuthority()
  const credentials = issue(authority)
  const sockets: TLSSocket[] = []
  const server = createTlsServer({ cert: credentials.cert, key: credentials.key }, (socket) => {
    socket.on('error', () => {})
    sockets.push(socket)
    onSocket(socket, sockets.length)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const dialer = new Dialer({
    credentials: issue(authority),
    traffic: traffic(),
    limits: { connectMs: 60_000 },
  })
  t.after(() => {
    dialer.close()
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const member = memberAt(credentials, '127.0.0.1', (server.address() as AddressInfo).port)
  return { member, dialer, sockets, authority, ask: () => dialer.ask(member, HELLO, wait) }
}

test('a connection is used again, and the member is known on it', async (t) => {
  const { ask, dialer } = await peerLab(t, { onExchange: greet })
  for (let n = 0; n < 5; n += 1) {
    assert.deepEqual(await whole(await ask()), { hello: 'asker' })
    assert.equal(dialer.idle, 1)
  }
})

test('a session is gone on with on a new connection, and the member is known there too', async (t) => {
  const { ask, dialer } = await peerLab(t, { onExchange: greet, dial: { idleEach: 0 } })
  const resumed: number[] = []
  for (let n = 0; n < 3; n += 1) {
    const answered = await ask()
    assert.deepEqual(await whole(answered), { hello: 'asker' })
    assert.equal(dialer.idle, 0)
    resumed.push(dialer.resumed)
  }
  assert.deepEqual(resumed, [0, 1, 2])
})

test('who answers with another certificate of the swarm gets no byte', async (t) => {
  let heard = 0
  const { dialer, member, authority } = await scripted(t, (socket) => {
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.length
    })
    socket.on('end', () => socket.end())
  })
  const other = issue(authority)
  const wrong = { ...member, fingerprint: other.fingerprint }
  const words = /a certificate that is not its own/
  await assert.rejects(dialer.ask(wrong, HELLO, wait), failure('unavailable', words))
  assert.equal(heard, 0)
})

test('who is said to be another member gets no byte, not even after it was dialed as itself', async (t) => {
  let heard = 0
  const { dialer, member, authority } = await scripted(t, (socket) => {
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.length
      socket.write(ANSWER)
    })
  })
  await whole(await dialer.ask(member, HELLO, wait))
  const before = heard
  const victim = { ...member, id: issue(authority).id }
  await assert.rejects(dialer.ask(victim, HELLO, wait), failure('unavailable', /not its own/))
  // The end of the exchange before, on the connection before.
  while (heard === before) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(heard, before + overFrame().length)
})

test('who answers with a certificate of another swarm gets no byte', async (t) => {
  let heard = 0
  const { member } = await scripted(t, (socket) => {
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.length
      socket.write(ANSWER)
    })
  })
  const dialer = new Dialer({
    credentials: issue(makeAuthority()),
    traffic: traffic(),
    limits: { connectMs: 60_000 },
  })
  t.after(() => dialer.close())
  await assert.rejects(
    dialer.ask(member, HELLO, wait),
    failure('unavailable', /UNABLE_TO_VERIFY|SELF_SIGNED/),
  )
  assert.equal(heard, 0)
})

test('a member that is not there is named', async (t) => {
  const { member, dialer } = await scripted(t, () => {})
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  await assert.rejects(dialer.ask({ ...member, port }, HELLO, wait), failure('unavailable', /ECONNREFUSED/))
})

test('a member that does not shake hands is not waited for', async (t) => {
  const { member } = await scripted(t, () => {})
  const sockets: Socket[] = []
  const server = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const dialer = new Dialer({
    credentials: issue(makeAuthority()),
    traffic: traffic(),
    limits: { connectMs: 50 },
  })
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  await assert.rejects(
    dialer.ask({ ...member, port }, HELLO, wait),
    failure('unavailable', /no connection within 50 ms/),
  )
})

test('a member that does not answer is not waited for', async (t) => {
  const { dialer, member, sockets } = await scripted(t, () => {})
  // It may be so late that the connection is not made at the other end either.
  do {
    await assert.rejects(
      dialer.ask(member, HELLO, { signal, ms: 50 }),
      failure('unavailable', /nothing within 50 ms/),
    )
  } while (sockets.length === 0)
  const [socket] = sockets
  assert.ok(socket !== undefined)
  if (!socket.closed) await once(socket.resume(), 'close')
})

test('who asks may leave at any time', async (t) => {
  const { dialer, member } = await scripted(t, () => {})
  const reason = new Error('left')
  await assert.rejects(dialer.ask(member, HELLO, { signal: AbortSignal.abort(reason), ms: 100 }), /left/)
  const connecting = new AbortController()
  const asked = dialer.ask(member, HELLO, { signal: connecting.signal, ms: 60_000 })
  connecting.abort(reason)
  await assert.rejects(asked, /left/)
  const answering = new AbortController()
  const { dialer: other, member: silent } = await scripted(t, () =>
    setImmediate(() => answering.abort(reason)),
  )
  await assert.rejects(other.ask(silent, HELLO, { signal: answering.signal, ms: 60_000 }), /left/)
})

test('a kept connection that is gone is replaced by a new one', async (t) => {
  let asked = 0
  const { ask, dialer, sockets } = await scripted(t, (socket) => {
    socket.on('data', (chunk: Buffer) => {
      // The end of the exchange before comes alone.
      if (chunk.length === overFrame().length) return
      asked += 1
      // The second question over the first connection finds nobody.
      if (asked === 2) socket.destroy()
      else socket.write(ANSWER)
    })
  })
  await whole(await ask())
  assert.equal(dialer.idle, 1)
  assert.deepEqual(await whole(await ask()), { is: 'answer' })
  assert.equal(sockets.length, 2)
  assert.equal(asked, 3)
})

test('one that breaks a new connection, too, is not asked again', async (t) => {
  let asked = 0
  const { ask, sockets } = await scripted(t, (socket) => {
    socket.on('data', (chunk: Buffer) => {
      if (chunk.length === overFrame().length) return
      asked += 1
      if (asked === 1) socket.write(ANSWER)
      else socket.destroy()
    })
  })
  await whole(await ask())
  await assert.rejects(ask(), failure('unavailable', /./))
  assert.equal(sockets.length, 2)
})

test('one that breaks off in the middle of its answer is not asked again', async (t) => {
  let asked = 0
  const { ask, sockets } = await scripted(t, (socket) => {
    socket.on('data', (chunk: Buffer) => {
      if (chunk.length === overFrame().length) return
      asked += 1
      if (asked === 1) socket.write(ANSWER)
      else socket.end(ANSWER.subarray(0, 3))
    })
  })
  await whole(await ask())
  await assert.rejects(ask(), failure('unavailable', /./))
  assert.equal(sockets.length, 1)
})

test('a kept connection on which something comes unasked is not used again', async (t) => {
  const { ask, dialer, sockets } = await scripted(t, (socket) => {
    socket.on('data', (chunk: Buffer) => {
      if (chunk.length > overFrame().length) socket.write(ANSWER)
      else socket.write(messageFrame({ is: 'forged' }))
    })
  })
  await whole(await ask())
  const [socket] = sockets
  assert.ok(socket !== undefined)
  await once(socket, 'close')
  while (dialer.idle > 0) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual((await ask()).answer, { is: 'answer' })
})

test('kept connections are few', async (t) => {
  const { ask, dialer } = await peerLab(t, { onExchange: greet, dial: { idleEach: 2, idleMs: 60_000 } })
  const all = await Promise.all([ask(), ask(), ask(), ask()])
  for (const answered of all) await whole(answered)
  assert.equal(dialer.idle, 2)
})

test('kept connections are not kept for long', async (t) => {
  const { ask, dialer } = await peerLab(t, { onExchange: greet, dial: { idleMs: 50 } })
  await whole(await ask())
  while (dialer.idle > 0) await new Promise((resolve) => setTimeout(resolve, 5))
})

test('a message that is too long is not sent', async (t) => {
  const { dialer, member, sockets } = await scripted(t, () => {})
  await assert.rejects(dialer.ask(member, { text: 'x'.repeat(70_000) }, wait), RangeError)
  assert.ok(sockets.every((socket) => socket.bytesRead === 0))
})

test('when it is closed everything under way fails, and nothing new begins', async (t) => {
  const { ask, dialer, sockets } = await scripted(t, () => {})
  const asked = ask()
  while (sockets.length === 0) await new Promise((resolve) => setImmediate(resolve))
  dialer.close()
  const stopping = (error: unknown) => error instanceof Failure && error.code === 'stopping'
  await assert.rejects(asked, stopping)
  await assert.rejects(ask(), stopping)
  assert.equal(dialer.idle, 0)
})
