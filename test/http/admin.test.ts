import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { afterEach, beforeEach, test } from 'node:test'
import { type AdminServer, createAdminServer } from '../../src/http/admin.ts'
import type { Reports } from '../../src/http/admin-answer.ts'
import { Reporter } from '../../src/observe/reporter.ts'
import { parseExposition } from '../observe/exposition.ts'
import { digestOf, MemoryNode } from '../observe/memory-node.ts'

let node: MemoryNode
let reporter: Reporter
let running: AdminServer[]

beforeEach(() => {
  node = new MemoryNode()
  reporter = new Reporter(node)
  running = []
})

afterEach(async () => {
  await Promise.all(running.map((server) => server.stop()))
  reporter.close()
})

async function serve(reports: Reports = reporter, patienceMs = 15_000, host = '127.0.0.1'): Promise<number> {
  const server = createAdminServer({ listen: { host, port: 0 }, reports, patienceMs })
  running.push(server)
  return (await server.start()).port
}

interface Got {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly body: string
  readonly whole: boolean
}

async function get(port: number, path: string, { method = 'GET', host = '', body = '' } = {}): Promise<Got> {
  const headers = {
    ...(host === '' ? {} : { host }),
    ...(body === '' ? {} : { 'content-length': body.length }),
  }
  const asking = request({ host: '127.0.0.1', port, path, method, agent: false, headers })
  asking.end(body)
  const [response] = await once(asking, 'response')
  let text = ''
  try {
    for await (const chunk of response.setEncoding('utf8')) text += chunk
  } catch {
    // Cut off; `complete` tells.
  }
  return { status: response.statusCode, headers: response.headers, body: text, whole: response.complete }
}

/** Everything that comes back for these bytes, until the other side has closed. */
async function say(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(text)
  let answer = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    answer += chunk
  })
  socket.on('error', () => {})
  await once(socket, 'close')
  return answer
}

test('health, readiness and metrics are told', async () => {
  const port = await serve()
  assert.deepEqual([(await get(port, '/healthz')).status, (await get(port, '/healthz')).body], [200, 'ok\n'])
  assert.equal((await get(port, '/readyz')).status, 200)
  node.reasons.push('the store is closed')
  const notReady = await get(port, '/readyz')
  assert.deepEqual([notReady.status, notReady.body], [503, 'not ready: the store is closed\n'])
  const metrics = await get(port, '/metrics')
  assert.equal(metrics.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  assert.ok(parseExposition(metrics.body).has('leat_store_bytes'))
})

test('the API answers in JSON', async () => {
  node.tagAs('3.20', node.putImage(['layer']).digest)
  const port = await serve()
  const status = await get(port, '/api/v1/status')
  assert.equal(status.headers['content-type'], 'application/json')
  assert.equal(status.headers['cache-control'], 'no-store')
  assert.equal(JSON.parse(status.body).store.blobs, 3)
  const why = await get(port, '/api/v1/why?subject=alpine%3A3.20')
  assert.equal(JSON.parse(why.body).tagRecord.state, 'fresh')
  const blobs = (await get(port, '/api/v1/blobs')).body.trimEnd().split('\n')
  assert.equal(blobs.map((line) => JSON.parse(line)).length, 3)
  const images = (await get(port, '/api/v1/images')).body.trimEnd().split('\n')
  assert.deepEqual(
    images.map((line) => JSON.parse(line).tag),
    ['3.20'],
  )
})

test('a person who opens the address is told what there is', async () => {
  const page = await get(await serve(), '/')
  assert.match(String(page.headers['content-type']), /^text\/html/)
  for (const path of ['/metrics', '/healthz', '/readyz', '/api/v1/status', '/api/v1/why'])
    assert.ok(page.body.includes(path))
})

test('what makes no sense gets a sentence in JSON', async () => {
  const port = await serve()
  const table: readonly [string, number][] = [
    ['/nothing', 404],
    ['/api/v1', 404],
    ['/api/v1/status/', 404],
    ['//', 404],
    ['/%2e%2e/etc/passwd', 404],
    ['/api/v1/why', 400],
    ['/api/v1/why?subject=', 400],
    ['/api/v1/why?subject=UPPER', 400],
    ['/api/v1/why?subject=%ff%00', 400],
    [`/api/v1/why?subject=${'a'.repeat(5000)}`, 400],
  ]
  for (const [path, code] of table) {
    const got = await get(port, path)
    assert.equal(got.status, code, path)
    assert.equal(got.headers['content-type'], 'application/json')
    assert.ok(JSON.parse(got.body).error.length > 5)
  }
})

test('only GET and HEAD are answered', async () => {
  const port = await serve()
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    const got = await get(port, '/metrics', { method })
    assert.deepEqual([got.status, got.headers['allow']], [405, 'GET, HEAD'], method)
  }
  for (const path of ['/metrics', '/api/v1/blobs', '/api/v1/status']) {
    const head = await get(port, path, { method: 'HEAD' })
    assert.deepEqual([head.status, head.body], [200, ''], path)
  }
})

test('a page that a browser believes to come from elsewhere is refused on loopback', async () => {
  const port = await serve()
  for (const host of [
    'evil.example',
    'evil.example:5051',
    '127.0.0.1.evil.example',
    '10.0.0.1',
    '[::2]',
    'a b',
    'localhost@evil',
  ]) {
    assert.equal((await get(port, '/api/v1/status', { host })).status, 403, host)
  }
  for (const host of ['localhost', `127.0.0.1:${port}`, 'LOCALHOST:80', '[::1]:5051', 'node.localhost']) {
    assert.equal((await get(port, '/api/v1/status', { host })).status, 200, host)
  }
  assert.match(await say(port, 'GET /healthz HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 200/)
  assert.match(await say(port, 'GET /healthz HTTP/1.1\r\n\r\n'), /^HTTP\/1\.1 400/)
})

test('when it listens for others, it may be asked by any name', async () => {
  const port = await serve(reporter, 15_000, '0.0.0.0')
  assert.equal((await get(port, '/healthz', { host: 'node-7.cluster.local:5051' })).status, 200)
})

test('malformed and oversized requests are cut off with a 4xx, and it goes on serving', async () => {
  const port = await serve()
  assert.match(await say(port, 'NONSENSE\r\n\r\n'), /^HTTP\/1\.1 400/)
  assert.match(
    await say(port, `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`),
    /^HTTP\/1\.1 431/,
  )
  assert.match(await say(port, '\u0016\u0003\u0001\u0000'), /^HTTP\/1\.1 400/)
  const withBody = await get(port, '/healthz', { body: 'x'.repeat(10_000) })
  assert.deepEqual([withBody.status, withBody.headers['connection']], [200, 'close'])
  assert.equal((await get(port, '/healthz')).status, 200)
})

test('a report that fails is a 500 that tells nothing of it, one that hangs is a 503', async () => {
  const failing: Reports = {
    ready: () => reporter.ready(),
    metrics: () => {
      throw new Error('hunter2')
    },
    status: () => Promise.reject(new Error('hunter2')),
    why: () => new Promise(() => {}),
    blobs: () => reporter.blobs(),
    images: async function* () {
      yield await Promise.reject(new Error('hunter2'))
    },
  }
  const port = await serve(failing, 50)
  for (const path of ['/metrics', '/api/v1/status']) {
    const got = await get(port, path)
    assert.equal(got.status, 500)
    assert.ok(!got.body.includes('hunter2'))
  }
  assert.equal((await get(port, '/api/v1/why?subject=alpine')).status, 503)
  assert.equal((await get(port, '/healthz')).status, 200)
})

test('a list that breaks in the middle is known not to be whole', async () => {
  const blob = { ...(await reporterBlob()), origin: 'x'.repeat(70_000) }
  const reports: Reports = {
    ...parts(),
    blobs: async function* () {
      yield blob
      yield blob
      throw new Error('the disk')
    },
    images: async function* () {
      yield await new Promise<never>(() => {})
    },
  }
  const port = await serve(reports, 50)
  const broken = await get(port, '/api/v1/blobs')
  assert.deepEqual([broken.status, broken.whole], [200, false])
  const hanging = await get(port, '/api/v1/images').catch(() => undefined)
  assert.ok(hanging === undefined || !hanging.whole)
})

test('a list is made no faster than it is read, and not at all for one who has left', async () => {
  let made = 0
  let ended: (() => void) | undefined
  const closed = new Promise<void>((resolve) => {
    ended = resolve
  })
  const blob = { ...(await reporterBlob()), origin: 'x'.repeat(100_000) }
  const reports: Reports = {
    ...parts(),
    blobs: async function* () {
      try {
        for (; made < 10_000; made++) yield blob
      } finally {
        ended?.()
      }
    },
  }
  const port = await serve(reports, 100)
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write('GET /api/v1/blobs HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await once(socket, 'readable')
  // Reads nothing more: after its patience the server lets go of it and of the list.
  await closed
  socket.destroy()
  assert.ok(made < 1000, `${made} were made for nobody`)
})

test('after the end nobody is answered, also not on connections kept open', async () => {
  const port = await serve()
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await once(socket, 'data')
  const over = once(socket, 'close')
  await running[0]?.stop()
  await over
  await assert.rejects(get(port, '/healthz'), { code: 'ECONNREFUSED' })
})

test('an address in use is an error with its code', async () => {
  const port = await serve()
  const second = createAdminServer({ listen: { host: '127.0.0.1', port }, reports: reporter })
  await assert.rejects(second.start(), { code: 'EADDRINUSE' })
  await second.stop()
})

function parts(): Reports {
  return {
    ready: () => reporter.ready(),
    metrics: () => reporter.metrics(),
    status: () => reporter.status(),
    why: (subject) => reporter.why(subject),
    blobs: () => reporter.blobs(),
    images: () => reporter.images(),
  }
}

async function reporterBlob() {
  node.put('layer')
  for await (const blob of reporter.blobs()) return { ...blob, digest: digestOf('layer') }
  return assert.fail('a blob was put there')
}
