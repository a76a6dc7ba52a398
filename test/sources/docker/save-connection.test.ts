import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import type { DockerHost } from '../../../src/sources/docker/docker-host.ts'
import { SaveConnection } from '../../../src/sources/docker/save-connection.ts'
import { FIRST } from '../../registry-api/certificate-pairs.ts'
import { temporaryFolder } from '../files/files.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\nConnection: close\r\n\r\n'
const LONG_MS = 60_000

interface Opened {
  readonly status: number
  readonly body: SaveConnection
  /** The head of the request. */
  readonly request: string
}

const unixHost = (socketPath: string): DockerHost => ({
  name: `unix://${socketPath}`,
  socketPath,
  origin: 'http://docker',
  tls: undefined,
  apiVersion: undefined,
})

/** Sends a request to a daemon that answers it as `answer` does. */
async function open(
  t: TestContext,
  answer: (socket: Socket) => void,
  { signal = new AbortController().signal, silenceMs = LONG_MS, tls = false } = {},
): Promise<Opened> {
  let request = ''
  const onConnection = (socket: Socket): void => {
    socket.on('error', () => {})
    socket.once('data', (bytes: Buffer) => {
      request = bytes.toString()
      answer(socket)
    })
  }
  const server = tls
    ? createTlsServer({ cert: FIRST.cert, key: FIRST.key }, onConnection)
    : createServer(onConnection)
  const path = join(await temporaryFolder(t), 'docker.sock')
  server.listen(tls ? { host: '127.0.0.1', port: 0 } : { path })
  await once(server, 'listening')
  t.after(() => server.close())
  const pem = Buffer.from(FIRST.cert)
  const host: DockerHost = tls
    ? {
        ...unixHost(''),
        socketPath: undefined,
        origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
        tls: { ca: pem, cert: pem, key: Buffer.from(FIRST.key), isVerified: true },
      }
    : unixHost(path)
  const { status, body } = await SaveConnection.open({
    host,
    path: '/v1.41/images/app/get',
    deadlines: { connectMs: LONG_MS, firstByteMs: LONG_MS, silenceMs },
    failureOf: (cause) => new Error('the daemon', { cause }),
    signal,
  })
  t.after(() => body.close())
  return { status, body, request }
}

async function readAll(body: SaveConnection, pieceBytes: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  for (;;) {
    const piece = Buffer.alloc(pieceBytes)
    const count = await body.read(piece)
    if (count === 0) return Buffer.concat(pieces)
    pieces.push(piece.subarray(0, count))
  }
}

const CONTENT = Buffer.alloc(3_000_001, 'every byte has its place. ')

for (const tls of [false, true]) {
  for (const pieceBytes of [1_000, 700_000]) {
    test(`a body ${tls ? 'over TLS ' : ''}comes whole into pieces of ${pieceBytes} bytes`, async (t) => {
      const { status, body, request } = await open(t, (socket) => socket.end(`${OK}${CONTENT}`), { tls })
      assert.equal(status, 200)
      assert.match(request, /^GET \/v1\.41\/images\/app\/get HTTP\/1\.0\r\nHost: /)
      assert.ok(CONTENT.equals(await readAll(body, pieceBytes)))
      assert.equal(await body.read(Buffer.alloc(10)), 0)
    })
  }
}

test('a head may come in any pieces, and bytes can be passed over', async (t) => {
  const { body } = await open(t, (socket) => {
    socket.setNoDelay(true)
    for (const letter of OK) socket.write(letter)
    socket.end('0123456789')
  })
  await body.skip(3)
  assert.equal((await readAll(body, 4)).toString(), '3456789')
  await body.skip(10)
})

test('a daemon that stops in the middle is given up after the time for silence', async (t) => {
  const { body } = await open(t, (socket) => socket.write(`${OK}begin`), { silenceMs: 30 })
  await assert.rejects(readAll(body, 100), (error: Error) => {
    assert.match(String(error.cause), /stopped sending within 0\.03 s/)
    return true
  })
})

test('a reader that takes its time is no silence of the daemon', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { body } = await open(t, (socket) => socket.end(`${OK}${CONTENT}`), { silenceMs: LONG_MS })
  await body.read(Buffer.alloc(10))
  t.mock.timers.tick(10 * LONG_MS)
  assert.equal((await readAll(body, 100_000)).length, CONTENT.length - 10)
})

test('an abort ends a read with its reason, and closes the connection', async (t) => {
  const aborting = new AbortController()
  let closed: Promise<unknown> | undefined
  const { body } = await open(
    t,
    (socket) => {
      closed = once(socket, 'close')
      socket.write(OK)
    },
    { signal: aborting.signal },
  )
  const reading = body.read(Buffer.alloc(10))
  const reason = new Error('enough')
  aborting.abort(reason)
  await assert.rejects(reading, reason)
  await assert.rejects(body.read(Buffer.alloc(10)), reason)
  await closed
})

test('an answer in chunks, one that is no HTTP and none at all are refused', async (t) => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello', /proxy before it does not speak/],
    ['SSH-2.0-OpenSSH_9.2\r\n\r\n', /not the API of a Docker daemon/],
    ['x'.repeat(20_000), /not the API of a Docker daemon/],
    ['', /closed the connection/],
  ]
  for (const [answer, expected] of cases) {
    await assert.rejects(
      open(t, (socket) => socket.end(answer)),
      (error: Error) => {
        assert.match(String(error.cause), expected)
        return true
      },
    )
  }
})
