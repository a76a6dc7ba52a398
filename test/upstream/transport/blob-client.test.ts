import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once, setMaxListeners } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { Failure } from '../../../src/ports/failure.ts'
import type { HttpResponse, SendRequest } from '../../../src/upstream/http/messages.ts'
import { ANY_SCOPE } from '../../../src/upstream/options/address-scope.ts'
import { BlobClient } from '../../../src/upstream/transport/blob-client.ts'
import { makeCertificates } from '../../../testkit/certificates.ts'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'

const ALL = { skip: 0, limit: Number.POSITIVE_INFINITY }

interface ClientWithServer {
  readonly client: BlobClient
  readonly sockets: readonly Socket[]
  /** The URLs of requests that went to the fallback. */
  readonly fallbackUrls: URL[]
  get(path?: string, headers?: Record<string, string>): Promise<HttpResponse>
  body(response: HttpResponse): Promise<Buffer>
}

/** A client, and a server that answers its n-th request with what `answer` writes. */
async function startServer(
  t: TestContext,
  answer: (socket: Socket, request: string, n: number) => void,
  options: { idleMs?: number } = {},
): Promise<ClientWithServer> {
  const sockets: Socket[] = []
  let n = 0
  const server = createServer((socket) => {
    sockets.push(socket)
    let text = ''
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const request = text.slice(0, end)
        text = text.slice(end + 4)
        answer(socket, request, n)
        n += 1
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const fallbackUrls: URL[] = []
  const fallback: SendRequest = async ({ url }) => {
    fallbackUrls.push(url)
    throw new Failure('unavailable', 'sent to the fallback')
  }
  const client = new BlobClient({
    secureContext: undefined,
    rejectUnauthorized: true,
    connectMs: 60_000,
    headerMs: 60_000,
    fallback,
    ...options,
  })
  t.after(() => client.close())
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { signal } = new AbortController()
  setMaxListeners(0, signal)
  return {
    client,
    sockets,
    fallbackUrls,
    get: (path = '/', headers = {}) =>
      client.send({
        method: 'GET',
        url: new URL(path, origin),
        headers,
        kind: 'blob',
        scopeLimit: ANY_SCOPE,
        signal,
      }),
    async body(response) {
      const intake = new MemoryIntake()
      await response.body.readInto(intake, ALL)
      return intake.bytes
    },
  }
}

const failure = (message: RegExp) => (error: unknown) =>
  error instanceof Failure && message.test(error.message)

test('a request is sent as HTTP/1.1 with its path, host and headers', async (t) => {
  let asked = ''
  const { get, body } = await startServer(t, (socket, request) => {
    asked = request
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const response = await get('/v2/a/blobs/x?y=1', { range: 'bytes=5-' })
  assert.equal((await body(response)).toString(), 'ok')
  assert.match(asked, /^GET \/v2\/a\/blobs\/x\?y=1 HTTP\/1\.1\r\nhost: 127\.0\.0\.1:\d+\r\nrange: bytes=5-$/)
})

test('a header value with a line break is not sent', async (t) => {
  const { get, sockets } = await startServer(t, () => {})
  await assert.rejects(get('/', { authorization: 'Bearer a\r\nX: y' }), failure(/cannot be sent/))
  assert.equal(sockets.length, 0)
})

test('head and body may be split over any number of reads', async (t) => {
  const { get, body } = await startServer(t, async (socket) => {
    socket.setNoDelay(true)
    for (const byte of 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody') {
      socket.write(byte)
      await new Promise((resolve) => setImmediate(resolve))
    }
  })
  assert.equal((await body(await get())).toString(), 'body')
})

test('interim responses are skipped, also when they come in one read with the final one', async (t) => {
  const { get, body } = await startServer(t, (socket) => {
    const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'
    socket.write(`HTTP/1.1 100 Continue\r\n\r\n${hints}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`)
  })
  assert.equal((await body(await get())).toString(), 'ok')
})

test('too many interim responses are a failure', async (t) => {
  const { get } = await startServer(t, (socket) => {
    socket.write('HTTP/1.1 100 Continue\r\n\r\n'.repeat(9))
  })
  await assert.rejects(get(), failure(/interim/))
})

test('a switch of protocols is refused', async (t) => {
  const { get } = await startServer(
    t,
    (socket) => void socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'),
  )
  await assert.rejects(get(), failure(/switch of protocols/))
})

test('a head of more than 64 KiB is a failure', async (t) => {
  const { get } = await startServer(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n')
    const more = (): boolean => socket.write(`X: ${'x'.repeat(8000)}\r\n`, () => socket.destroyed || more())
    more()
  })
  await assert.rejects(get(), failure(/too long/))
})

test('a head that ends within the limit may be followed by a body in the same read', async (t) => {
  const content = randomBytes(200_000)
  const { get, body } = await startServer(t, (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(60_000)}\r\nContent-Length: ${content.length}\r\n\r\n`)
    socket.write(content)
  })
  assert.ok((await body(await get())).equals(content))
})

for (const [what, text] of [
  ['a greeting of another protocol', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc'],
  ['a length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nabc'],
] as const) {
  test(`a response head with ${what} is refused`, async (t) => {
    const { get } = await startServer(t, (socket) => void socket.write(text))
    await assert.rejects(get(), failure(/broken response head/))
  })
}

test('bytes after the end of a body are ignored, and the connection is not reused', async (t) => {
  const { get, body, sockets } = await startServer(t, (socket) => {
    socket.write(
      'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbodyHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
    )
  })
  for (let i = 0; i < 2; i += 1) assert.equal((await body(await get())).toString(), 'body')
  assert.equal(sockets.length, 2)
})

test('bytes after the end of a body of several reads are ignored, and the connection is not reused', async (t) => {
  const content = randomBytes(1_000_000)
  const { get, body, sockets } = await startServer(t, (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\n\r\n`)
    socket.write(Buffer.concat([content, randomBytes(100_000)]))
  })
  assert.ok((await body(await get())).equals(content))
  const [first] = sockets
  assert.ok(first)
  await new Promise<void>((resolve) => (first.closed ? resolve() : first.once('close', () => resolve())))
  assert.ok((await body(await get())).equals(content))
  assert.equal(sockets.length, 2)
})

test('unrequested bytes close an idle connection', async (t) => {
  const { get, body, sockets } = await startServer(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  await body(await get())
  const [first] = sockets
  assert.ok(first)
  first.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil')
  await once(first, 'close')
  assert.equal((await body(await get())).toString(), 'ok')
  assert.equal(sockets.length, 2)
})

test('a request on a reused connection that closes before it answers is sent once more on a new one', async (t) => {
  const { get, body, sockets } = await startServer(t, (socket, _, n) => {
    if (n === 1) socket.destroy()
    else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  await body(await get())
  assert.equal((await body(await get())).toString(), 'ok')
  assert.equal(sockets.length, 2)
})

test('a new connection that closes before it answers is a failure at once', async (t) => {
  const { get, sockets } = await startServer(t, (socket) => void socket.destroy())
  await assert.rejects(get(), Failure)
  assert.equal(sockets.length, 1)
})

test('a reused connection that closes within the head is a failure, because the server has received the request', async (t) => {
  const { get, body, sockets } = await startServer(t, (socket, _, n) => {
    if (n === 1) socket.end('HTTP/1.1 200')
    else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  await body(await get())
  await assert.rejects(get(), failure(/ended/))
  assert.equal(sockets.length, 1)
})

test('a connection whose response says close is closed after the body', async (t) => {
  const { get, body, sockets } = await startServer(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok')
  })
  for (let i = 0; i < 2; i += 1) await body(await get())
  assert.equal(sockets.length, 2)
})

test('an idle connection is closed after its time limit', async (t) => {
  const { get, body, sockets } = await startServer(
    t,
    (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'),
    { idleMs: 20 },
  )
  await body(await get())
  const [socket] = sockets
  assert.ok(socket)
  await once(socket, 'close')
})

test('at most eight idle connections are kept for one origin', async (t) => {
  const { get, body, sockets } = await startServer(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const responses = await Promise.all(Array.from({ length: 12 }, () => get()))
  assert.equal(sockets.length, 12)
  const closed = sockets.map((socket) => once(socket, 'close'))
  let closes = 0
  for (const each of closed) each.then(() => (closes += 1)).catch(() => {})
  await Promise.all(responses.map((response) => body(response)))
  await Promise.race([Promise.all(closed), new Promise((resolve) => setImmediate(resolve))])
  while (closes < 4) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(closes, 4)
})

test('a body of undeclared length is requested again with the fallback, and later ones of the origin with the fallback only', async (t) => {
  let requests = 0
  const { get, fallbackUrls } = await startServer(t, (socket) => {
    requests += 1
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n')
  })
  await assert.rejects(get('/a'), /sent to the fallback/)
  await assert.rejects(get('/b'), /sent to the fallback/)
  assert.deepEqual(
    fallbackUrls.map(({ pathname }) => pathname),
    ['/a', '/b'],
  )
  assert.equal(requests, 1)
})

test('a 404 of undeclared length is returned like any other response', async (t) => {
  const { get, fallbackUrls, sockets } = await startServer(t, (socket) => {
    socket.write('HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n')
  })
  for (let i = 0; i < 2; i += 1) {
    const response = await get()
    assert.equal(response.status, 404)
    response.body.dispose()
  }
  assert.deepEqual([fallbackUrls.length, sockets.length], [0, 2])
})

test('the socket never writes more than the body into the memory of the intake', async (t) => {
  const content = randomBytes(300_000)
  const { get } = await startServer(t, (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\n\r\n`)
    socket.write(Buffer.concat([content, Buffer.alloc(100_000, 0xee)]))
  })
  const intake = new MemoryIntake({ window: 1_000_000 })
  await (await get()).body.readInto(intake, ALL)
  assert.ok(intake.bytes.equals(content))
  await new Promise((resolve) => setImmediate(resolve))
  const untouched = intake.buffer().subarray(content.length)
  assert.ok(!untouched.includes(0xee))
})

test('bytes that a TLS socket decrypts before the body is read are not lost', async (t) => {
  const content = randomBytes(50_000)
  const { cert, key } = makeCertificates()
  const server = createTlsServer({ cert, key }, (socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      const head = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\n\r\n`)
      // One write makes several TLS records, which are read at once and decrypted one after another.
      socket.write(Buffer.concat([head, content]))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const client = new BlobClient({
    secureContext: undefined,
    rejectUnauthorized: false,
    connectMs: 60_000,
    headerMs: 60_000,
    fallback: () => Promise.reject(new Error('sent to the fallback')),
  })
  t.after(() => client.close())
  const url = new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  const { signal } = new AbortController()
  const response = await client.send({
    method: 'GET',
    url,
    headers: {},
    kind: 'blob',
    scopeLimit: ANY_SCOPE,
    signal,
  })
  await new Promise((resolve) => setImmediate(resolve))
  const intake = new MemoryIntake({ window: 7000 })
  await response.body.readInto(intake, ALL)
  assert.ok(intake.bytes.equals(content))
})
