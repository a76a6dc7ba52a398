import assert from 'node:assert/strict'
import { randomBytes, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import type { ConnectionTarget } from '../../src/lanes/lane.ts'
import type { LaneConnection } from '../../src/lanes/lane-connection.ts'
import type { LanePool } from '../../src/lanes/lane-pool.ts'
import { openLanes } from '../../src/lanes/lane-pool.ts'
import { Deferred } from '../../src/lib/async/deferred.ts'
import { Failure } from '../../src/ports/failure.ts'
import { makeCertificates } from '../../testkit/certificates.ts'
import { addCleanup } from '../../testkit/cleanup.ts'
import { MemoryIntake } from '../../testkit/memory/memory-intake.ts'
import { sharedLanes } from './shared-lanes.ts'
import { startedThreads } from './started-threads.ts'

const BYTES = randomBytes(2_000_000)
const HEAD = `HTTP/1.1 200 OK\r\nContent-Length: ${BYTES.length}\r\n\r\n`
const REQUEST = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'
const NEVER = { signal: new AbortController().signal }

interface Setting {
  readonly lanes: LanePool
  readonly sockets: readonly Socket[]
  readonly target: ConnectionTarget
  connect(): Promise<LaneConnection>
}

/** Lanes, and a server that answers each request with what `answer` writes. Without an answer: with the bytes. */
async function setUp(
  t: TestContext,
  { answer = (socket: Socket): void => void socket.write(HEAD, () => socket.write(BYTES)), tls = false } = {},
): Promise<Setting> {
  const sockets: Socket[] = []
  const serve = (socket: Socket): void => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.on('data', () => answer(socket))
  }
  const { ca, cert, key } = makeCertificates()
  const server = tls ? createTlsServer({ cert, key }, serve) : createServer(serve)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  addCleanup(t, () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const lanes = openLanes()
  addCleanup(t, () => lanes.stop())
  const { port } = server.address() as AddressInfo
  const target = {
    host: '127.0.0.1',
    port,
    addresses: [],
    tls: tls ? { ca: [ca], rejectUnauthorized: true } : undefined,
  }
  return { lanes, sockets, target, connect: () => lanes.connect(target, NEVER) }
}

for (const tls of [false, true]) {
  test(`a body is read into the memory of a sink, one request after another${tls ? ', over TLS' : ''}`, async (t) => {
    const { sockets, connect } = await setUp(t, { tls })
    const connection = await connect()
    for (let i = 0; i < 3; i += 1) {
      const head = await connection.request(REQUEST)
      assert.deepEqual([head.status, head.length, head.keepsAlive], [200, BYTES.length, true])
      const sink = new MemoryIntake({ window: 100_000 })
      await connection.readBody(sink, 0)
      assert.ok(sink.bytes.equals(BYTES))
      assert.ok(connection.isReusable)
    }
    assert.equal(sockets.length, 1)
  })
}

test('a certificate of another authority is refused', async (t) => {
  const { lanes, target } = await setUp(t, { tls: true })
  const { ca } = makeCertificates()
  const tls = { ca: [ca], rejectUnauthorized: true }
  await assert.rejects(lanes.connect({ ...target, tls }, NEVER), /certificate|signature/)
})

test('a lane that presents a certificate reports that of the server, and resumes the TLS session that it is given', async (t) => {
  const { ca, cert, key } = makeCertificates()
  const presented: boolean[] = []
  const server = createTlsServer({ cert, key, ca, requestCert: true, rejectUnauthorized: true }, (socket) => {
    presented.push(socket.authorized)
    socket.on('error', () => {})
    socket.on('data', () => socket.write(`${HEAD.replace(`${BYTES.length}`, '2')}ok`))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  addCleanup(t, () => server.close())
  const lanes = sharedLanes()
  const tls = { ca: [ca], rejectUnauthorized: true, own: { key, cert } }
  const { port } = server.address() as AddressInfo
  const target = { host: '127.0.0.1', port, addresses: [], tls }
  const first = await lanes.connect(target, NEVER)
  assert.ok(first.server?.certificate)
  assert.ok(new X509Certificate(cert).raw.equals(first.server.certificate))
  const given = new Deferred<Uint8Array>()
  first.onTlsSession = (session) => given.resolve(session)
  await first.request(REQUEST)
  const second = await lanes.connect({ ...target, session: await given.promise }, NEVER)
  assert.deepEqual(second.server, { alpn: false, isResumed: true, certificate: undefined })
  assert.equal((await second.request(REQUEST)).status, 200)
  assert.deepEqual(presented, [true, true])
  for (const connection of [first, second]) connection.destroy()
})

test('authorities that are no PEM fail the connection and not the lane', async (t) => {
  const { lanes, target, connect } = await setUp(t, { tls: true })
  const threads = startedThreads(t)
  const tls = { ca: ['no PEM'], rejectUnauthorized: true }
  await assert.rejects(lanes.connect({ ...target, tls }, NEVER))
  await connect()
  assert.equal(threads.length, 1)
})

test('a lane connects to the addresses that it is given, and looks up no name', async (t) => {
  const { lanes, target } = await setUp(t)
  const host = 'registry.invalid'
  const addresses = [{ address: '127.0.0.1', family: 4 }]
  const connection = await lanes.connect({ ...target, host, addresses }, NEVER)
  assert.equal((await connection.request(REQUEST)).status, 200)
  await assert.rejects(lanes.connect({ ...target, host, addresses: [] }, NEVER), /no address/)
})

test('a refused connection fails with its code', async (t) => {
  const { lanes, target } = await setUp(t)
  const closed = createServer()
  closed.listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as AddressInfo
  closed.close()
  await once(closed, 'close')
  await assert.rejects(lanes.connect({ ...target, port }, NEVER), { code: 'ECONNREFUSED' })
})

test('an abort while a body is read fails only when the lane has let go of the memory', async (t) => {
  const { connect, sockets } = await setUp(t, {
    answer: (socket) => void socket.write(HEAD, () => socket.write(BYTES.subarray(0, 10_000))),
  })
  const connection = await connect()
  await connection.request(REQUEST)
  const sink = new MemoryIntake({ window: 1_000_000 })
  const outcome = assert.rejects(connection.readBody(sink, 0), /enough/)
  const [socket] = sockets
  assert.ok(socket)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  let isClosed = false
  connection.onClosed = () => {
    isClosed = true
  }
  connection.abort(new Error('enough'))
  socket.write(BYTES.subarray(10_000))
  await outcome
  assert.ok(isClosed)
  const { position } = sink
  const before = Buffer.from(sink.buffer())
  await closed
  assert.equal(sink.position, position, 'nothing is taken after an abort')
  assert.ok(Buffer.from(sink.buffer()).equals(before), 'nothing is filled after the failure')
})

test('a sink that fails ends the connection with its failure', async (t) => {
  const { connect } = await setUp(t)
  const connection = await connect()
  await connection.request(REQUEST)
  const sink = new MemoryIntake({ room: 50_000 })
  const outcome = assert.rejects(connection.readBody(sink, 0), { code: 'disk' })
  await sink.full()
  sink.fail(new Failure('disk', 'full'))
  await outcome
  assert.equal(connection.isReusable, false)
})

test('connections of a lane that dies are closed, and what is read fails', async (t) => {
  const { connect, lanes } = await setUp(t, {
    answer: (socket) => void socket.write(HEAD, () => socket.write(BYTES.subarray(0, 10_000))),
  })
  const threads = startedThreads(t)
  const connection = await connect()
  await connection.request(REQUEST)
  const outcome = assert.rejects(
    connection.readBody(new MemoryIntake(), 0),
    /lane of the connection has ended/,
  )
  await threads[0]?.terminate()
  await outcome
  await assert.rejects(connection.request(REQUEST), /lane/)
  assert.equal((await (await connect()).request(REQUEST)).status, 200)
  assert.equal(threads.length, 2)
  await lanes.stop()
})

test('a body that has come with its head is discarded, and the connection is used again', async (t) => {
  const { connect, sockets } = await setUp(t, {
    answer: (socket) => void socket.write('HTTP/1.1 302 Found\r\nContent-Length: 4\r\n\r\nhere'),
  })
  const connection = await connect()
  for (let i = 0; i < 3; i += 1) {
    assert.equal((await connection.request(REQUEST)).status, 302)
    connection.discardBody()
    assert.ok(connection.isReusable)
  }
  assert.equal(sockets.length, 1)
})

test('a request on a connection that has closed meanwhile fails, as one that the server has not received', async (t) => {
  const { connect, sockets } = await setUp(t)
  const connection = await connect()
  await connection.request(REQUEST)
  await connection.readBody(new MemoryIntake(), 0)
  const [socket] = sockets
  assert.ok(socket)
  socket.destroy()
  await once(socket, 'close')
  await assert.rejects(connection.request(REQUEST))
  assert.equal(connection.hasReceived, false)
})

test('a body that has come completely is passed on when the sink has room, although the server has closed', async (t) => {
  const bytes = BYTES.subarray(0, 10_000)
  const { connect } = await setUp(t, {
    answer: (socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${bytes.length}\r\n\r\n`)
      socket.end(bytes)
    },
  })
  const connection = await connect()
  await connection.request(REQUEST)
  const memory = new Uint8Array(new SharedArrayBuffer(bytes.length))
  const half = bytes.length / 2
  const room = new Deferred<void>()
  let position = 0
  const sink = {
    buffer: () => memory.subarray(position, position < half ? half : bytes.length),
    nextBuffer: () => (position < half ? memory.subarray(half) : undefined),
    filled: (length: number) => {
      position += length
      return false
    },
    drained: () => room.promise,
  }
  const closed = new Promise<void>((resolve) => {
    connection.onClosed = resolve
  })
  const reading = connection.readBody(sink, 0)
  await closed
  assert.ok(position < bytes.length)
  room.resolve()
  await reading
  assert.ok(Buffer.from(memory).equals(bytes))
  assert.equal(connection.isReusable, false)
})

test('a connection on which more has come than a discarded body is closed', async (t) => {
  const { connect } = await setUp(t, {
    answer: (socket) => void socket.write('HTTP/1.1 302 Found\r\nContent-Length: 4\r\n\r\nhere and more'),
  })
  const connection = await connect()
  await connection.request(REQUEST)
  const closed = new Promise<void>((resolve) => {
    connection.onClosed = resolve
  })
  connection.discardBody()
  await closed
  assert.equal(connection.isReusable, false)
})
