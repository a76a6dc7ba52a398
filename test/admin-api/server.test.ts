import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { request } from 'node:http'
import { connect } from 'node:net'
import { afterEach, beforeEach, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as v from 'valibot'
import type { Reports } from '../../src/admin-api/answer.ts'
import { type AdminServer, createAdminServer } from '../../src/admin-api/server.ts'
import { Reporter } from '../../src/observe/reports/reporter.ts'
import { PullsReport } from '../../src/schemas/report.ts'
import { Upkeep } from '../../src/upkeep/upkeep.ts'
import { Warming } from '../../src/warm/warming.ts'
import { parseExposition } from '../observe/exposition.ts'
import { digestOf, MemoryNode } from '../observe/memory-node.ts'
import { MemoryKept } from '../upkeep/memory-kept.ts'
import { MemoryPlace } from '../warm/memory-place.ts'

let node: MemoryNode
let reporter: Reporter
let kept: MemoryKept
let place: MemoryPlace
let running: AdminServer[]

beforeEach(() => {
  node = new MemoryNode()
  reporter = new Reporter(node)
  kept = new MemoryKept()
  place = new MemoryPlace()
  running = []
})

afterEach(async () => {
  await Promise.all(running.map((server) => server.stop()))
  reporter.close()
})

async function startServer(
  reports: Reports = reporter,
  timeoutMs = 60_000,
  host = '127.0.0.1',
): Promise<number> {
  const upkeep = new Upkeep(kept, 'docker.io')
  const warming = new Warming(place)
  const server = createAdminServer({ listen: { host, port: 0 }, reports, upkeep, warming, timeoutMs })
  running.push(server)
  return (await server.start()).port
}

interface ReceivedAnswer {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly body: string
  /** False when the connection was closed before the end of the body. */
  readonly isComplete: boolean
}

interface RequestOptions {
  readonly method?: string
  readonly host?: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
}

async function sendRequest(
  port: number,
  path: string,
  { method = 'GET', host = '', body = '', headers: more = {} }: RequestOptions = {},
): Promise<ReceivedAnswer> {
  const headers = {
    ...more,
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
    // The connection was closed early; `isComplete` is false then.
  }
  return { status: response.statusCode, headers: response.headers, body: text, isComplete: response.complete }
}

/** Sends these bytes and returns everything that the server sends before it closes the connection. */
async function sendRaw(port: number, text: string): Promise<string> {
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

test('/healthz, /readyz and /metrics answer', async () => {
  const port = await startServer()
  assert.deepEqual(
    [(await sendRequest(port, '/healthz')).status, (await sendRequest(port, '/healthz')).body],
    [200, 'ok\n'],
  )
  assert.equal((await sendRequest(port, '/readyz')).status, 200)
  node.reasons.push('the store is closed')
  const notReady = await sendRequest(port, '/readyz')
  assert.deepEqual([notReady.status, notReady.body], [503, 'not ready: the store is closed\n'])
  const metrics = await sendRequest(port, '/metrics')
  assert.equal(metrics.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  assert.ok(parseExposition(metrics.body).has('leat_store_bytes'))
})

test('the API answers in JSON', async () => {
  node.tagAs('3.20', node.putImage(['layer']).digest)
  const port = await startServer()
  const status = await sendRequest(port, '/api/v1/status')
  assert.equal(status.headers['content-type'], 'application/json')
  assert.equal(status.headers['cache-control'], 'no-store')
  assert.equal(JSON.parse(status.body).store.blobs, 3)
  const why = await sendRequest(port, '/api/v1/why?subject=alpine%3A3.20')
  assert.equal(JSON.parse(why.body).tagRecord.state, 'fresh')
  const pulls = await sendRequest(port, '/api/v1/pulls')
  assert.deepEqual(v.parse(PullsReport, JSON.parse(pulls.body)), { pulls: [] })
  const blobs = (await sendRequest(port, '/api/v1/blobs')).body.trimEnd().split('\n')
  assert.equal(blobs.map((line) => JSON.parse(line)).length, 3)
  const images = (await sendRequest(port, '/api/v1/images')).body.trimEnd().split('\n')
  assert.deepEqual(
    images.map((line) => JSON.parse(line).tag),
    ['3.20'],
  )
})

test('the page at / links to all endpoints', async () => {
  const page = await sendRequest(await startServer(), '/')
  assert.match(String(page.headers['content-type']), /^text\/html/)
  for (const path of ['/metrics', '/healthz', '/readyz', '/api/v1/status', '/api/v1/why'])
    assert.ok(page.body.includes(path))
})

const PAGE = fileURLToPath(new URL('../../../src/page/', import.meta.url))

test('every file of the page is served, and everything that its scripts import', async () => {
  const port = await startServer()
  const files = (await readdir(PAGE, { recursive: true })).filter((name) => /\.\w+$/.test(name))
  const names = files.map((name) => (name === 'index.html' ? '/' : `/page/${name}`))
  assert.ok(names.length > 10)
  for (const path of names) {
    const got = await sendRequest(port, path)
    const [, kind = 'html'] = path.split('.')
    assert.equal(got.status, 200, path)
    assert.match(String(got.headers['content-type']), new RegExp({ js: 'javascript' }[kind] ?? kind), path)
    for (const [, name = ''] of got.body.matchAll(/^import .* from '(.+)'$/gm))
      assert.equal(
        (await sendRequest(port, new URL(name, `http://localhost${path}`).pathname)).status,
        200,
        name,
      )
  }
  for (const path of ['/page/', '/page/index.html', '/page/../server.ts', '/observe/events.js'])
    assert.equal((await sendRequest(port, path)).status, 404, path)
})

test('every answer forbids browsers to load or run anything from elsewhere, or to show it in a frame', async () => {
  const port = await startServer()
  for (const path of ['/', '/page/main.js', '/api/v1/status', '/nothing']) {
    const { headers } = await sendRequest(port, path)
    const policy = String(headers['content-security-policy'])
    assert.match(policy, /default-src 'none'/)
    assert.match(policy, /frame-ancestors 'none'/)
    assert.doesNotMatch(policy, /unsafe|\*|http|data:/)
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.equal(headers['cross-origin-resource-policy'], 'same-origin')
  }
  const page = await sendRequest(port, '/')
  assert.doesNotMatch(page.body, /<script>|<style|style=|\son\w+=|https?:/)
})

test('an invalid read request gets a JSON error', async () => {
  const port = await startServer()
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
    const got = await sendRequest(port, path)
    assert.equal(got.status, code, path)
    assert.equal(got.headers['content-type'], 'application/json')
    assert.ok(JSON.parse(got.body).error.length > 5)
  }
})

const JSON_TYPE = { 'content-type': 'application/json' }

/** Sends a command as the command line does. */
function sendCommand(
  port: number,
  method: string,
  path: string,
  body: unknown,
  more: RequestOptions = {},
): Promise<ReceivedAnswer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return sendRequest(port, path, { ...more, method, body: text, headers: { ...JSON_TYPE, ...more.headers } })
}

function linesOf({ body }: ReceivedAnswer): { is: string }[] {
  return body
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}

test('stored content can be pinned, evicted, verified and removed', async () => {
  kept.put('layer')
  kept.put('image', ['layer'])
  kept.put('other')
  kept.tagAs('3', 'image')
  const port = await startServer()
  const pinned = await sendCommand(port, 'POST', '/api/v1/pins', { subjects: ['alpine:3'] })
  assert.deepEqual(JSON.parse(pinned.body), {
    pins: [{ subject: 'alpine:3', digest: digestOf('image'), changed: true }],
  })
  const evicted = await sendCommand(port, 'POST', '/api/v1/gc', { toBytes: 0 })
  assert.equal(evicted.headers['content-type'], 'application/x-ndjson')
  assert.deepEqual(linesOf(evicted).at(-1), { is: 'done', blobs: 1, bytes: 5, leftBlobs: 2, leftBytes: 10 })
  const refused = await sendCommand(port, 'DELETE', '/api/v1/images', { subjects: ['alpine:3'] })
  assert.equal(refused.status, 409)
  assert.match(JSON.parse(refused.body).error, /is pinned/)
  assert.equal((await sendCommand(port, 'DELETE', '/api/v1/pins', { subjects: ['alpine:3'] })).status, 200)
  assert.equal(linesOf(await sendCommand(port, 'POST', '/api/v1/verify', '')).at(-1)?.is, 'done')
  const removed = await sendCommand(port, 'DELETE', '/api/v1/images', { subjects: ['alpine:3'] })
  assert.equal(linesOf(removed).at(-1)?.is, 'done')
  assert.equal(kept.held.size, 0)
})

test('a web page can run no command, whatever it sends', async () => {
  kept.put('layer')
  const port = await startServer()
  const own = `127.0.0.1:${port}`
  const table: readonly [number, RequestOptions][] = [
    [415, { headers: { 'content-type': 'text/plain' } }],
    [415, { headers: { 'content-type': 'application/x-www-form-urlencoded' } }],
    [415, { headers: { 'content-type': '' } }],
    [403, { headers: { origin: 'http://evil.example' } }],
    [403, { headers: { origin: 'null' } }],
    [403, { headers: { origin: `http://${own}` } }],
    [403, { headers: { 'sec-fetch-site': 'cross-site' } }],
    [403, { host: 'evil.example' }],
  ]
  for (const [status, more] of table) {
    for (const [method, path] of [
      ['POST', '/api/v1/gc'],
      ['DELETE', '/api/v1/images'],
    ] as const) {
      const got = await sendCommand(port, method, path, { toBytes: 0, subjects: [digestOf('layer')] }, more)
      assert.equal(got.status, status, JSON.stringify(more))
    }
  }
  // A browser sends this preflight request before it sends JSON to another origin.
  const preflight = await sendRequest(port, '/api/v1/gc', {
    method: 'OPTIONS',
    headers: { origin: 'http://evil.example' },
  })
  assert.equal(preflight.status, 405)
  assert.equal(preflight.headers['access-control-allow-origin'], undefined)
  assert.equal(kept.held.size, 1)
})

test('an invalid command, or one for content that is not stored, gets a JSON error', async () => {
  const port = await startServer()
  const large = JSON.stringify({ subjects: ['x'.repeat(300_000)] })
  const table: readonly [string, string, unknown, number][] = [
    ['POST', '/api/v1/gc', '{', 400],
    ['POST', '/api/v1/gc', '[]', 400],
    ['POST', '/api/v1/gc', { toBytes: -1 }, 400],
    ['POST', '/api/v1/gc', { tobytes: 1 }, 400],
    ['POST', '/api/v1/verify', { bytesPerSecond: 'fast' }, 400],
    ['POST', '/api/v1/pins', {}, 400],
    ['POST', '/api/v1/pins', { subjects: [] }, 400],
    ['POST', '/api/v1/pins', { subjects: ['UPPER'] }, 400],
    ['POST', '/api/v1/pins', { subjects: ['alpine:9'] }, 404],
    ['DELETE', '/api/v1/pins', { subjects: ['alpine:9'] }, 404],
    ['DELETE', '/api/v1/images', { subjects: ['alpine:9'] }, 404],
    ['POST', '/api/v1/pins', large, 413],
  ]
  for (const [method, path, body, status] of table) {
    const got = await sendCommand(port, method, path, body)
    assert.equal(got.status, status, `${method} ${path} ${JSON.stringify(body).slice(0, 50)}`)
    assert.ok(JSON.parse(got.body).error.length > 5)
  }
  for (const [path, allow] of [
    ['/api/v1/gc', 'POST'],
    ['/api/v1/pins', 'POST, DELETE'],
    ['/api/v1/images', 'GET, HEAD, DELETE'],
  ] as const) {
    const got = await sendRequest(port, path, { method: 'PUT' })
    assert.deepEqual([got.status, got.headers['allow']], [405, allow])
  }
  assert.equal((await sendRequest(port, '/api/v1/gc')).status, 405)
})

test('a command whose body does not arrive in time is not answered with 200', async () => {
  const port = await startServer(reporter, 50)
  const answer = await sendRaw(
    port,
    'POST /api/v1/gc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{',
  )
  assert.ok(answer === '' || /^HTTP\/1\.1 50[03]/.test(answer), answer)
})

test('a command sends progress at once, runs alone, and ends when its client disconnects', async () => {
  kept.put('layer')
  let called: AbortSignal | undefined
  let begun = 0
  kept.onStep = (signal) => {
    begun += 1
    called = signal
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
    })
  }
  const port = await startServer()
  const asking = request({
    host: '127.0.0.1',
    port,
    path: '/api/v1/verify',
    method: 'POST',
    headers: JSON_TYPE,
    agent: false,
  })
  asking.on('error', () => {})
  asking.end()
  const [response] = await once(asking, 'response')
  response.on('error', () => {})
  const [first] = await once(response.setEncoding('utf8'), 'data')
  assert.equal(JSON.parse(first.split('\n')[0]).is, 'progress')
  const other = await sendCommand(port, 'POST', '/api/v1/gc', {})
  assert.equal(other.status, 409)
  assert.match(JSON.parse(other.body).error, /under way already/)
  while (begun === 0) await new Promise((resolve) => setImmediate(resolve))
  const left = new Promise((resolve) => called?.addEventListener('abort', resolve))
  asking.destroy()
  await left
  kept.onStep = () => {}
  let again = await sendCommand(port, 'POST', '/api/v1/verify', {})
  while (again.status === 409) again = await sendCommand(port, 'POST', '/api/v1/verify', {})
  assert.equal(linesOf(again).at(-1)?.is, 'done')
})

test('a command that fails in the middle sends a failed line without the message of an unexpected error', async () => {
  kept.put('layer')
  kept.onStep = () => Promise.reject(new Error('hunter2'))
  const port = await startServer()
  const got = await sendCommand(port, 'POST', '/api/v1/verify', {})
  assert.equal(linesOf(got).at(-1)?.is, 'failed')
  assert.ok(!got.body.includes('hunter2'))
})

test('a path without commands answers other methods than GET and HEAD with 405', async () => {
  const port = await startServer()
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    const got = await sendRequest(port, '/metrics', { method })
    assert.deepEqual([got.status, got.headers['allow']], [405, 'GET, HEAD'], method)
  }
  for (const path of ['/metrics', '/api/v1/blobs', '/api/v1/status']) {
    const head = await sendRequest(port, path, { method: 'HEAD' })
    assert.deepEqual([head.status, head.body], [200, ''], path)
  }
})

test('on loopback a request with a foreign Host is refused with 403', async () => {
  const port = await startServer()
  for (const host of [
    'evil.example',
    'evil.example:5051',
    '127.0.0.1.evil.example',
    '10.0.0.1',
    '[::2]',
    'a b',
    'localhost@evil',
  ]) {
    assert.equal((await sendRequest(port, '/api/v1/status', { host })).status, 403, host)
  }
  for (const host of ['localhost', `127.0.0.1:${port}`, 'LOCALHOST:80', '[::1]:5051', 'node.localhost']) {
    assert.equal((await sendRequest(port, '/api/v1/status', { host })).status, 200, host)
  }
  assert.match(await sendRaw(port, 'GET /healthz HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 200/)
  assert.match(await sendRaw(port, 'GET /healthz HTTP/1.1\r\n\r\n'), /^HTTP\/1\.1 400/)
})

test('a server that does not listen on loopback answers requests with any Host', async () => {
  const port = await startServer(reporter, 60_000, '0.0.0.0')
  assert.equal((await sendRequest(port, '/healthz', { host: 'node-7.cluster.local:5051' })).status, 200)
})

test('malformed and oversized requests get a 4xx, and the server keeps serving', async () => {
  const port = await startServer()
  assert.match(await sendRaw(port, 'NONSENSE\r\n\r\n'), /^HTTP\/1\.1 400/)
  assert.match(
    await sendRaw(port, `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`),
    /^HTTP\/1\.1 431/,
  )
  assert.match(await sendRaw(port, '\u0016\u0003\u0001\u0000'), /^HTTP\/1\.1 400/)
  const withBody = await sendRequest(port, '/healthz', { body: 'x'.repeat(10_000) })
  assert.deepEqual([withBody.status, withBody.headers['connection']], [200, 'close'])
  assert.equal((await sendRequest(port, '/healthz')).status, 200)
})

test('a report that fails is a 500 without its message, a report that hangs is a 503', async () => {
  const failing: Reports = {
    ready: () => reporter.ready(),
    metrics: () => {
      throw new Error('hunter2')
    },
    status: () => Promise.reject(new Error('hunter2')),
    pulls: () => reporter.pulls(),
    why: () => new Promise(() => {}),
    blobs: () => reporter.blobs(),
    images: async function* () {
      yield await Promise.reject(new Error('hunter2'))
    },
  }
  const port = await startServer(failing)
  for (const path of ['/metrics', '/api/v1/status']) {
    const got = await sendRequest(port, path)
    assert.equal(got.status, 500)
    assert.ok(!got.body.includes('hunter2'))
  }
  assert.equal((await sendRequest(await startServer(failing, 50), '/api/v1/why?subject=alpine')).status, 503)
  assert.equal((await sendRequest(port, '/healthz')).status, 200)
})

test('a list that fails in the middle, or hangs, is sent as an incomplete body', async () => {
  const blob = { ...(await reportedBlob()), origin: 'x'.repeat(70_000) }
  const reports: Reports = {
    ...workingReports(),
    blobs: async function* () {
      yield blob
      yield blob
      throw new Error('the disk')
    },
    images: async function* () {
      yield await new Promise<never>(() => {})
    },
  }
  const broken = await sendRequest(await startServer(reports), '/api/v1/blobs')
  assert.deepEqual([broken.status, broken.isComplete], [200, false])
  const hanging = await sendRequest(await startServer(reports, 50), '/api/v1/images').catch(() => undefined)
  assert.ok(hanging === undefined || !hanging.isComplete)
})

test('a list is produced no faster than it is read, and its producer ends when the client is too slow', async () => {
  let produced = 0
  let ended: (() => void) | undefined
  const closed = new Promise<void>((resolve) => {
    ended = resolve
  })
  const blob = { ...(await reportedBlob()), origin: 'x'.repeat(100_000) }
  const reports: Reports = {
    ...workingReports(),
    blobs: async function* () {
      try {
        for (; produced < 10_000; produced++) yield blob
      } finally {
        ended?.()
      }
    },
  }
  const port = await startServer(reports, 100)
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write('GET /api/v1/blobs HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await once(socket, 'readable')
  // The client reads nothing more, so the server closes the connection and the list after the timeout.
  await closed
  socket.destroy()
  assert.ok(produced < 1000, `${produced} values were produced for a client that does not read`)
})

test('stop closes connections that are kept open, and refuses new ones', async () => {
  const port = await startServer()
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await once(socket, 'data')
  const over = once(socket, 'close')
  await running[0]?.stop()
  await over
  await assert.rejects(sendRequest(port, '/healthz'), { code: 'ECONNREFUSED' })
})

test('start rejects with EADDRINUSE when the address is in use', async () => {
  const port = await startServer()
  const upkeep = new Upkeep(kept, 'docker.io')
  const second = createAdminServer({
    listen: { host: '127.0.0.1', port },
    reports: reporter,
    upkeep,
    warming: new Warming(place),
  })
  await assert.rejects(second.start(), { code: 'EADDRINUSE' })
  await second.stop()
})

function workingReports(): Reports {
  return {
    ready: () => reporter.ready(),
    metrics: () => reporter.metrics(),
    status: () => reporter.status(),
    pulls: () => reporter.pulls(),
    why: (subject) => reporter.why(subject),
    blobs: () => reporter.blobs(),
    images: () => reporter.images(),
  }
}

async function reportedBlob() {
  node.put('layer')
  for await (const blob of reporter.blobs()) return { ...blob, digest: digestOf('layer') }
  return assert.fail('a blob was put there')
}
