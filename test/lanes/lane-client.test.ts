import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { LaneClient, type LaneRequest } from '../../src/lanes/lane-client.ts'
import { Failure } from '../../src/ports/failure.ts'
import { addCleanup } from '../../testkit/cleanup.ts'
import { MemoryIntake } from '../../testkit/memory/memory-intake.ts'
import { sharedLanes } from './shared-lanes.ts'

const NEVER = new AbortController().signal
const BODY = { skip: 0, signal: NEVER }
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody'

/** A client, and a server that answers request number `n` of all connections with what `answer` does. */
async function setUp(t: TestContext, answer: (socket: Socket, n: number) => void) {
  const sockets: Socket[] = []
  let requests = 0
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.on('data', () => {
      requests += 1
      answer(socket, requests)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = new LaneClient(60_000)
  const lanes = sharedLanes()
  addCleanup(t, () => {
    client.close(new Failure('stopping', 'the test is over'))
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const target = { host: '127.0.0.1', port, addresses: [], tls: undefined }
  const request = (given: Partial<LaneRequest> = {}) =>
    client.request({
      key: 'any',
      text: 'GET / HTTP/1.1\r\n\r\n',
      signal: NEVER,
      headMs: 60_000,
      late: () => new Failure('unavailable', 'too late'),
      connect: (options) => lanes.connect(target, options),
      ...given,
    })
  return { client, sockets, request }
}

const answerOk = (socket: Socket): void => void socket.write(OK)

test('a connection is used again by requests with its key, after a body that was read or discarded', async (t) => {
  const { client, sockets, request } = await setUp(t, answerOk)
  const sink = new MemoryIntake()
  await (await request()).readInto(sink, BODY)
  assert.equal(sink.bytes.toString(), 'body')
  const discarded = await request()
  discarded.discard()
  await (await request()).readInto(new MemoryIntake(), BODY)
  assert.deepEqual([sockets.length, client.idleCount], [1, 1])
  await (await request({ key: 'another' })).readInto(new MemoryIntake(), BODY)
  assert.deepEqual([sockets.length, client.idleCount], [2, 2])
})

test('a request over a broken idle connection is sent again over a new one, and not a second time', async (t) => {
  const { sockets, request } = await setUp(t, (socket, n) => {
    if (n === 1) answerOk(socket)
    else socket.destroy()
  })
  await (await request()).readInto(new MemoryIntake(), BODY)
  await assert.rejects(request())
  assert.equal(sockets.length, 2)
})

test('a server that does not begin its response in time fails the request', async (t) => {
  const { client, request } = await setUp(t, () => {})
  await assert.rejects(request({ headMs: 20 }), /too late/)
  assert.equal(client.idleCount, 0)
})

test('a request and a body are ended with the reason of the signal', async (t) => {
  const reason = new Error('left')
  const { client, request } = await setUp(t, (socket, n) => {
    if (n > 1) return requesting.abort(reason)
    socket.write(OK.slice(0, -1))
  })
  const requesting = new AbortController()
  const reading = new AbortController()
  const response = await request()
  const read = response.readInto(new MemoryIntake(), { skip: 0, signal: reading.signal })
  reading.abort(reason)
  await assert.rejects(read, reason)
  await assert.rejects(request({ signal: requesting.signal }), reason)
  assert.equal(client.idleCount, 0)
})

test('closing the client fails what is under way and what follows with its reason', async (t) => {
  const { client, request } = await setUp(t, (socket, n) => {
    if (n === 1) socket.write(OK.slice(0, -1))
    else client.close(reason)
  })
  const reason = new Failure('stopping', 'closed')
  const read = (await request()).readInto(new MemoryIntake(), BODY)
  const bodyFails = assert.rejects(read, reason)
  await assert.rejects(request({ key: 'another' }), reason)
  await bodyFails
  await assert.rejects(request(), reason)
})
