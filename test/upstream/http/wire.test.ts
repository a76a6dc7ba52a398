import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once, setMaxListeners } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { Failure } from '../../../src/ports/failure.ts'
import type { Exchange, Reply } from '../../../src/upstream/http/exchange.ts'
import { Wire } from '../../../src/upstream/http/wire.ts'
import { ANY_SCOPE } from '../../../src/upstream/options/address-scope.ts'
import { makeCertificates } from '../../../testkit/certificates.ts'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'

const ALL = { skip: 0, limit: Number.POSITIVE_INFINITY }

interface Lab {
  readonly wire: Wire
  readonly sockets: readonly Socket[]
  /** What undici would have been asked instead. */
  readonly passedOn: URL[]
  get(path?: string, headers?: Record<string, string>): Promise<Reply>
  body(reply: Reply): Promise<Buffer>
}

/** A server that answers the n-th request of all with what `answer` writes. */
async function lab(
  t: TestContext,
  answer: (socket: Socket, request: string, n: number) => void,
  options: { idleMs?: number } = {},
): Promise<Lab> {
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
  const passedOn: URL[] = []
  const fallback: Exchange = async ({ url }) => {
    passedOn.push(url)
    throw new Failure('unavailable', 'passed on')
  }
  const wire = new Wire({
    secureContext: undefined,
    rejectUnauthorized: true,
    connectMs: 60_000,
    headerMs: 60_000,
    fallback,
    ...options,
  })
  t.after(() => wire.close())
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { signal } = new AbortController()
  setMaxListeners(0, signal)
  return {
    wire,
    sockets,
    passedOn,
    get: (path = '/', headers = {}) =>
      wire.exchange({
        method: 'GET',
        url: new URL(path, origin),
        headers,
        kind: 'blob',
        scopeLimit: ANY_SCOPE,
        signal,
      }),
    async body(reply) {
      const intake = new MemoryIntake()
      await reply.body.readInto(intake, ALL)
      return intake.bytes
    },
  }
}

const failure = (message: RegExp) => (error: unknown) =>
  error instanceof Failure && message.test(error.message)

test('a request says what it wants in HTTP/1.1', async (t) => {
  let asked = ''
  const { get, body } = await lab(t, (socket, request) => {
    asked = request
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const reply = await get('/v2/a/blobs/x?y=1', { range: 'bytes=5-' })
  assert.equal((await body(reply)).toString(), 'ok')
  assert.match(asked, /^GET \/v2\/a\/blobs\/x\?y=1 HTTP\/1\.1\r\nhost: 127\.0\.0\.1:\d+\r\nrange: bytes=5-$/)
})

test('a header that would break out of its line is not sent', async (t) => {
  const { get, sockets } = await lab(t, () => {})
  await assert.rejects(get('/', { authorization: 'Bearer a\r\nX: y' }), failure(/cannot be sent/))
  assert.equal(sockets.length, 0)
})

test('head and body may come in any pieces', async (t) => {
  const { get, body } = await lab(t, async (socket) => {
    socket.setNoDelay(true)
    for (const byte of 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody') {
      socket.write(byte)
      await new Promise((resolve) => setImmediate(resolve))
    }
  })
  assert.equal((await body(await get())).toString(), 'body')
})

test('interim answers are passed over, also in one piece with the final one', async (t) => {
  const { get, body } = await lab(t, (socket) => {
    const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'
    socket.write(`HTTP/1.1 100 Continue\r\n\r\n${hints}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`)
  })
  assert.equal((await body(await get())).toString(), 'ok')
})

test('interim answers without end are not listened to', async (t) => {
  const { get } = await lab(t, (socket) => {
    socket.write('HTTP/1.1 100 Continue\r\n\r\n'.repeat(9))
  })
  await assert.rejects(get(), failure(/interim/))
})

test('a switch of protocols is refused', async (t) => {
  const { get } = await lab(t, (socket) => void socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'))
  await assert.rejects(get(), failure(/interim/))
})

test('a head without end is cut off at 64 KiB', async (t) => {
  const { get } = await lab(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n')
    const more = (): boolean => socket.write(`X: ${'x'.repeat(8000)}\r\n`, () => socket.destroyed || more())
    more()
  })
  await assert.rejects(get(), failure(/too long/))
})

test('a head that ends within the limit may be followed by a body in the same read', async (t) => {
  const content = randomBytes(200_000)
  const { get, body } = await lab(t, (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(60_000)}\r\nContent-Length: ${content.length}\r\n\r\n`)
    socket.write(content)
  })
  assert.ok((await body(await get())).equals(content))
})

for (const [what, text] of [
  ['something else than HTTP', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc'],
  ['a length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nabc'],
] as const) {
  test(`${what} is a broken head`, async (t) => {
    const { get } = await lab(t, (socket) => void socket.write(text))
    await assert.rejects(get(), failure(/broken response head/))
  })
}

test('bytes after the end are not taken, and the connection is not used again', async (t) => {
  const { get, body, sockets } = await lab(t, (socket) => {
    socket.write(
      'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbodyHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
    )
  })
  for (let i = 0; i < 2; i += 1) assert.equal((await body(await get())).toString(), 'body')
  assert.equal(sockets.length, 2)
})

test('bytes after the end of a long body are not taken either', async (t) => {
  const content = randomBytes(1_000_000)
  const { get, body, sockets } = await lab(t, (socket) => {
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

test('bytes that nobody asked for end an idle connection', async (t) => {
  const { get, body, sockets } = await lab(t, (socket) => {
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

test('a kept connection that dies before it answers is tried again on a fresh one, once', async (t) => {
  const { get, body, sockets } = await lab(t, (socket, _, n) => {
    if (n === 1) socket.destroy()
    else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  await body(await get())
  assert.equal((await body(await get())).toString(), 'ok')
  assert.equal(sockets.length, 2)
})

test('a fresh connection that dies before it answers is a failure at once', async (t) => {
  const { get, sockets } = await lab(t, (socket) => void socket.destroy())
  await assert.rejects(get(), Failure)
  assert.equal(sockets.length, 1)
})

test('a kept connection that dies within the head is a failure: the request was heard', async (t) => {
  const { get, body, sockets } = await lab(t, (socket, _, n) => {
    if (n === 1) socket.end('HTTP/1.1 200')
    else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  await body(await get())
  await assert.rejects(get(), failure(/ended/))
  assert.equal(sockets.length, 1)
})

test('a connection that says close is closed after the body', async (t) => {
  const { get, body, sockets } = await lab(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok')
  })
  for (let i = 0; i < 2; i += 1) await body(await get())
  assert.equal(sockets.length, 2)
})

test('an idle connection is closed after a while', async (t) => {
  const { get, body, sockets } = await lab(
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
  const { get, body, sockets } = await lab(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const replies = await Promise.all(Array.from({ length: 12 }, () => get()))
  assert.equal(sockets.length, 12)
  const closed = sockets.map((socket) => once(socket, 'close'))
  let closes = 0
  for (const each of closed) each.then(() => (closes += 1)).catch(() => {})
  await Promise.all(replies.map((reply) => body(reply)))
  await Promise.race([Promise.all(closed), new Promise((resolve) => setImmediate(resolve))])
  while (closes < 4) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(closes, 4)
})

test('a body of undeclared length is left to the other exchange, from then on without asking first', async (t) => {
  let requests = 0
  const { get, passedOn } = await lab(t, (socket) => {
    requests += 1
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n')
  })
  await assert.rejects(get('/a'), /passed on/)
  await assert.rejects(get('/b'), /passed on/)
  assert.deepEqual(
    passedOn.map(({ pathname }) => pathname),
    ['/a', '/b'],
  )
  assert.equal(requests, 1)
})

test('a refusal of undeclared length is an answer like any other', async (t) => {
  const { get, passedOn, sockets } = await lab(t, (socket) => {
    socket.write('HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n')
  })
  for (let i = 0; i < 2; i += 1) {
    const reply = await get()
    assert.equal(reply.status, 404)
    reply.body.dispose()
  }
  assert.deepEqual([passedOn.length, sockets.length], [0, 2])
})

test('memory of the intake is never given out for more than the body', async (t) => {
  const content = randomBytes(300_000)
  const { get } = await lab(t, (socket) => {
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

test('what a TLS socket has decrypted before anyone wants the body is kept', async (t) => {
  const content = randomBytes(50_000)
  const { cert, key } = makeCertificates()
  const server = createTlsServer({ cert, key }, (socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      const head = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\n\r\n`)
      // One write: several records that are read at once and decrypted one after another.
      socket.write(Buffer.concat([head, content]))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const wire = new Wire({
    secureContext: undefined,
    rejectUnauthorized: false,
    connectMs: 60_000,
    headerMs: 60_000,
    fallback: () => Promise.reject(new Error('passed on')),
  })
  t.after(() => wire.close())
  const url = new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  const { signal } = new AbortController()
  const reply = await wire.exchange({
    method: 'GET',
    url,
    headers: {},
    kind: 'blob',
    scopeLimit: ANY_SCOPE,
    signal,
  })
  await new Promise((resolve) => setImmediate(resolve))
  const intake = new MemoryIntake({ window: 7000 })
  await reply.body.readInto(intake, ALL)
  assert.ok(intake.bytes.equals(content))
})
