import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import type { PeerExchange } from '../../../src/peers/wire/control/exchange.ts'
import { PeerClient } from '../../../src/peers/wire/peer-client.ts'
import { Failure } from '../../../src/ports/failure.ts'
import { makeAuthority } from '../../../testkit/certificates.ts'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'
import {
  connectionResources,
  isFailureOf,
  issueMemberCredentials,
  neverAborted,
  peerLab,
  WANT,
} from '../../../testkit/peer-lab.ts'
import { sharedLanes } from '../../lanes/shared-lanes.ts'
import { until } from './recording-server.ts'
import { HELLO, scriptedMember, speakHttp2, wait } from './scripted-member.ts'

const signal = neverAborted()

async function greet(_request: unknown, exchange: PeerExchange): Promise<void> {
  exchange.send({ hello: exchange.member?.name })
}

/** Ends an exchange on both sides. */
async function endOf({ answer, exchange }: { answer: unknown; exchange: PeerExchange }): Promise<unknown> {
  assert.equal(await exchange.receive(wait), undefined)
  exchange.end()
  return answer
}

test('a session is reused, and the member is still known on it', async (t) => {
  const { request, client } = await peerLab(t, { onExchange: greet })
  for (let n = 0; n < 5; n += 1) {
    assert.deepEqual(await endOf(await request()), { hello: 'asker' })
    await until(() => client.idleConnections.control === 1)
  }
})

test('a new connection resumes the TLS session, and the member is known on it', async (t) => {
  const { request, client } = await peerLab(t, { onExchange: greet, clientLimits: { maxIdleSessions: 0 } })
  const resumed: number[] = []
  for (let n = 0; n < 3; n += 1) {
    const started = await request()
    assert.deepEqual(await endOf(started), { hello: 'asker' })
    if (!started.exchange.closed.aborted) await once(started.exchange.closed, 'abort')
    await until(() => client.idleConnections.control === 0)
    resumed.push(client.resumedSessions)
  }
  assert.deepEqual(resumed, [0, 1, 2])
})

for (const [what, work] of [
  ['request', (client: PeerClient, member: never) => client.request(member, HELLO, wait)],
  [
    'download',
    (client: PeerClient, member: never) => client.download(member, WANT, new MemoryIntake(), wait),
  ],
] as const) {
  test(`a ${what}: a server with the certificate of another member gets no bytes`, async (t) => {
    let receivedBytes = 0
    const { client, member, authority } = await scriptedMember(t, (socket) => {
      socket.on('data', (chunk: Buffer) => {
        receivedBytes += chunk.length
      })
    })
    const wrong = { ...member, fingerprint: issueMemberCredentials(authority).fingerprint }
    const message = /presented a certificate that is not its own/
    await assert.rejects(work(client, wrong as never), isFailureOf('unavailable', message))
    assert.equal(receivedBytes, 0)
  })

  test(`a ${what}: a server with a certificate of another swarm gets no bytes`, async (t) => {
    let receivedBytes = 0
    const { member } = await scriptedMember(t, (socket) => {
      socket.on('data', (chunk: Buffer) => {
        receivedBytes += chunk.length
      })
    })
    const lanes = sharedLanes()
    const client = new PeerClient({
      credentials: issueMemberCredentials(makeAuthority()),
      resources: connectionResources(),
      lanes,
      limits: { connectMs: 60_000 },
    })
    t.after(() => client.close())
    const failed = isFailureOf('unavailable', /UNABLE_TO_VERIFY|SELF_SIGNED/)
    await assert.rejects(work(client, member as never), failed)
    assert.equal(receivedBytes, 0)
  })

  test(`a ${what}: a member that does not choose the protocol gets no bytes`, async (t) => {
    const authority = makeAuthority()
    const { cert, key, id, fingerprint } = issueMemberCredentials(authority)
    let receivedBytes = 0
    const server = createTlsServer({ cert, key }, (socket) => {
      socket.on('error', () => {})
      socket.on('data', (chunk: Buffer) => {
        receivedBytes += chunk.length
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const lanes = sharedLanes()
    const client = new PeerClient({
      credentials: issueMemberCredentials(authority),
      resources: connectionResources(),
      lanes,
      limits: { connectMs: 60_000 },
    })
    t.after(() => {
      client.close()
      server.close()
    })
    const { port } = server.address() as AddressInfo
    const member = { id, fingerprint, name: 'answerer', host: '127.0.0.1', port }
    const failed = isFailureOf('unavailable', /speaks another version of the peer protocol/)
    await assert.rejects(work(client, member as never), failed)
    assert.equal(receivedBytes, 0)
  })
}

test('a server that is addressed under the id of another member gets no bytes, not even after a connection under its own', async (t) => {
  let streams = 0
  const speak = speakHttp2((stream) => {
    streams += 1
    stream.respond()
    stream.end('{}\n')
  })
  const { client, member, authority } = await scriptedMember(t, speak)
  await endOf(await client.request(member, HELLO, wait))
  const victim = { ...member, id: issueMemberCredentials(authority).id }
  await assert.rejects(client.request(victim, HELLO, wait), isFailureOf('unavailable', /not its own/))
  assert.equal(streams, 1)
})

test('the failure of a refused connection names the member', async (t) => {
  const { member, client } = await scriptedMember(t, () => {})
  const server = createServer().listen(0, '127.0.0.1')
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
  const { member } = await scriptedMember(t, () => {})
  const sockets: Socket[] = []
  const server = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const lanes = sharedLanes()
  const client = new PeerClient({
    credentials: issueMemberCredentials(makeAuthority()),
    resources: connectionResources(),
    lanes,
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
  const { client, member } = await scriptedMember(t, () => {})
  await assert.rejects(
    client.request(member, HELLO, { signal, ms: 50 }),
    isFailureOf('unavailable', /nothing within 50 ms/),
  )
})

test('a request on a silent session fails early, and the next one goes over a new connection', async (t) => {
  const { client, member, sockets } = await scriptedMember(t, () => {}, { silenceMs: 50 })
  for (let n = 1; n <= 2; n += 1) {
    await assert.rejects(
      client.request(member, HELLO, wait),
      isFailureOf('unavailable', /nothing within 50 ms/),
    )
    await until(() => sockets.length === n)
  }
})

test('a member that is slow and alive is waited for', async (t) => {
  const speak = speakHttp2((stream) => {
    stream.respond()
    setTimeout(() => stream.end('{"is":"answer"}\n'), 300)
  })
  const { request, sockets } = await scriptedMember(t, speak, { silenceMs: 2000 })
  assert.deepEqual(await endOf(await request()), { is: 'answer' })
  assert.equal(sockets.length, 1)
})

test('a request can be aborted at any time', async (t) => {
  const { client, member } = await scriptedMember(t, () => {})
  const reason = new Error('left')
  await assert.rejects(client.request(member, HELLO, { signal: AbortSignal.abort(reason), ms: 100 }), /left/)
  const connecting = new AbortController()
  const asked = client.request(member, HELLO, { signal: connecting.signal, ms: 60_000 })
  connecting.abort(reason)
  await assert.rejects(asked, /left/)
  const answering = new AbortController()
  const { client: other, member: silent } = await scriptedMember(
    t,
    speakHttp2(() => answering.abort(reason)),
  )
  await assert.rejects(other.request(silent, HELLO, { signal: answering.signal, ms: 60_000 }), /left/)
})

test('a request over a broken session is sent again over a new one, once', async (t) => {
  const speak = speakHttp2((stream, n) => {
    // The first session breaks at the second request, the second one at the fourth, and the third one at once.
    if (n === 2 || n >= 4) {
      stream.session?.destroy()
      return
    }
    stream.respond()
    stream.end('{"is":"answer"}\n')
  })
  const { request, sockets } = await scriptedMember(t, speak)
  assert.deepEqual(await endOf(await request()), { is: 'answer' })
  assert.deepEqual(await endOf(await request()), { is: 'answer' })
  assert.equal(sockets.length, 2)
  await assert.rejects(request(), isFailureOf('unavailable', /./))
  assert.equal(sockets.length, 3)
})

test('a request is not sent again when the connection breaks in the middle of the answer', async (t) => {
  const speak = speakHttp2((stream, n) => {
    stream.respond()
    if (n === 1) stream.end('{"is":"answer"}\n')
    else stream.write('{"is"', () => setTimeout(() => stream.session?.destroy(), 20))
  })
  const { request, sockets } = await scriptedMember(t, speak)
  await endOf(await request())
  await assert.rejects(request(), isFailureOf('unavailable', /./))
  assert.equal(sockets.length, 1)
})

for (const [what, answer] of [
  [
    'another status',
    (stream: Parameters<Parameters<typeof speakHttp2>[0]>[0]) =>
      stream.respond({ ':status': 500 }, { endStream: true }),
  ],
  [
    'a line that is too long',
    (stream) => {
      stream.respond()
      stream.end(Buffer.alloc(100_000, 0x20))
    },
  ],
  [
    'no JSON',
    (stream) => {
      stream.respond()
      stream.end('{\n')
    },
  ],
  [
    'an end without an answer',
    (stream) => {
      stream.respond({}, { endStream: true })
    },
  ],
  [
    'a reset',
    (stream) => {
      stream.close(2)
    },
  ],
] as readonly (readonly [string, Parameters<typeof speakHttp2>[0]])[]) {
  test(`a member that answers with ${what} is named in the failure`, async (t) => {
    const { request } = await scriptedMember(t, speakHttp2(answer))
    await assert.rejects(request(), isFailureOf('unavailable', /./))
  })
}

test('a member that closes its session gets the next request over a new one', async (t) => {
  const speak = speakHttp2((stream) => {
    stream.respond()
    stream.end('{}\n')
    stream.session?.close()
  })
  const { request, sockets } = await scriptedMember(t, speak)
  for (let n = 1; n <= 3; n += 1) {
    await endOf(await request())
    assert.ok(sockets.length <= n)
  }
})

test('few idle sessions are kept, and they are closed after a while', async (t) => {
  const { request, client } = await peerLab(t, { onExchange: greet, clientLimits: { idleMs: 50 } })
  await endOf(await request())
  await until(() => client.idleConnections.control === 1)
  while (client.idleConnections.control > 0) await new Promise((resolve) => setTimeout(resolve, 5))
})

test('a message that is too long is not sent', async (t) => {
  const { client, member, sockets } = await scriptedMember(t, () => {})
  await assert.rejects(client.request(member, { text: 'x'.repeat(70_000) }, wait), RangeError)
  assert.equal(sockets.length, 0)
})

test('closing the client fails the requests under way and those that follow', async (t) => {
  const { request, client, sockets } = await scriptedMember(t, () => {})
  const asked = request()
  await until(() => sockets.length > 0)
  client.close()
  const stopping = (error: unknown) => error instanceof Failure && error.code === 'stopping'
  await assert.rejects(asked, stopping)
  await assert.rejects(request(), stopping)
  await until(() => client.idleConnections.control === 0)
})
