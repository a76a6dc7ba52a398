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

async function serve(reports: Reports = reporter, patienceMs = 60_000, host = '127.0.0.1'): Promise<number> {
  const upkeep = new Upkeep(kept, 'docker.io')
  const warming = new Warming(place)
  const server = createAdminServer({ listen: { host, port: 0 }, reports, upkeep, warming, patienceMs })
  running.push(server)
  return (await server.start()).port
}

interface Got {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly body: string
  readonly whole: boolean
}

interface Saying {
  readonly method?: string
  readonly host?: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
}

async function get(
  port: number,
  path: string,
  { method = 'GET', host = '', body = '', headers: more = {} }: Saying = {},
): Promise<Got> {
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
  const pulls = await get(port, '/api/v1/pulls')
  assert.deepEqual(v.parse(PullsReport, JSON.parse(pulls.body)), { pulls: [] })
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

const PAGE = fileURLToPath(new URL('../../../src/page/', import.meta.url))

test('the page is all there, and what its scripts import is served', async () => {
  const port = await serve()
  const files = (await readdir(PAGE, { recursive: true })).filter((name) => /\.\w+$/.test(name))
  const names = files.map((name) => (name === 'index.html' ? '/' : `/page/${name}`))
  assert.ok(names.length > 10)
  for (const path of names) {
    const got = await get(port, path)
    const [, kind = 'html'] = path.split('.')
    assert.equal(got.status, 200, path)
    assert.match(String(got.headers['content-type']), new RegExp({ js: 'javascript' }[kind] ?? kind), path)
    for (const [, name = ''] of got.body.matchAll(/^import .* from '(.+)'$/gm))
      assert.equal((await get(port, new URL(name, `http://localhost${path}`).pathname)).status, 200, name)
  }
  for (const path of ['/page/', '/page/index.html', '/page/../server.ts', '/observe/events.js'])
    assert.equal((await get(port, path)).status, 404, path)
})

test('every answer forbids a browser to run, load or frame anything of others', async () => {
  const port = await serve()
  for (const path of ['/', '/page/main.js', '/api/v1/status', '/nothing']) {
    const { headers } = await get(port, path)
    const policy = String(headers['content-security-policy'])
    assert.match(policy, /default-src 'none'/)
    assert.match(policy, /frame-ancestors 'none'/)
    assert.doesNotMatch(policy, /unsafe|\*|http|data:/)
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.equal(headers['cross-origin-resource-policy'], 'same-origin')
  }
  const page = await get(port, '/')
  assert.doesNotMatch(page.body, /<script>|<style|style=|\son\w+=|https?:/)
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

const JSON_TYPE = { 'content-type': 'application/json' }

/** As the command line does it. */
function change(port: number, method: string, path: string, body: unknown, more: Saying = {}): Promise<Got> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return get(port, path, { ...more, method, body: text, headers: { ...JSON_TYPE, ...more.headers } })
}

function linesOf({ body }: Got): { is: string }[] {
  return body
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}

test('what is kept can be changed', async () => {
  kept.put('layer')
  kept.put('image', ['layer'])
  kept.put('other')
  kept.tagAs('3', 'image')
  const port = await serve()
  const pinned = await change(port, 'POST', '/api/v1/pins', { subjects: ['alpine:3'] })
  assert.deepEqual(JSON.parse(pinned.body), {
    pins: [{ subject: 'alpine:3', digest: digestOf('image'), changed: true }],
  })
  const evicted = await change(port, 'POST', '/api/v1/gc', { toBytes: 0 })
  assert.equal(evicted.headers['content-type'], 'application/x-ndjson')
  assert.deepEqual(linesOf(evicted).at(-1), { is: 'done', blobs: 1, bytes: 5, leftBlobs: 2, leftBytes: 10 })
  const refused = await change(port, 'DELETE', '/api/v1/images', { subjects: ['alpine:3'] })
  assert.equal(refused.status, 409)
  assert.match(JSON.parse(refused.body).error, /is pinned/)
  assert.equal((await change(port, 'DELETE', '/api/v1/pins', { subjects: ['alpine:3'] })).status, 200)
  assert.equal(linesOf(await change(port, 'POST', '/api/v1/verify', '')).at(-1)?.is, 'done')
  const removed = await change(port, 'DELETE', '/api/v1/images', { subjects: ['alpine:3'] })
  assert.equal(linesOf(removed).at(-1)?.is, 'done')
  assert.equal(kept.held.size, 0)
})

test('a web page can change nothing, whatever it sends', async () => {
  kept.put('layer')
  const port = await serve()
  const own = `127.0.0.1:${port}`
  const table: readonly [number, Saying][] = [
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
      const got = await change(port, method, path, { toBytes: 0, subjects: [digestOf('layer')] }, more)
      assert.equal(got.status, status, JSON.stringify(more))
    }
  }
  // What a browser asks before it sends JSON across.
  const preflight = await get(port, '/api/v1/gc', {
    method: 'OPTIONS',
    headers: { origin: 'http://evil.example' },
  })
  assert.equal(preflight.status, 405)
  assert.equal(preflight.headers['access-control-allow-origin'], undefined)
  assert.equal(kept.held.size, 1)
})

test('a change that makes no sense, or of what is not here, gets a sentence', async () => {
  const port = await serve()
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
    const got = await change(port, method, path, body)
    assert.equal(got.status, status, `${method} ${path} ${JSON.stringify(body).slice(0, 50)}`)
    assert.ok(JSON.parse(got.body).error.length > 5)
  }
  for (const [path, allow] of [
    ['/api/v1/gc', 'POST'],
    ['/api/v1/pins', 'POST, DELETE'],
    ['/api/v1/images', 'GET, HEAD, DELETE'],
  ] as const) {
    const got = await get(port, path, { method: 'PUT' })
    assert.deepEqual([got.status, got.headers['allow']], [405, allow])
  }
  assert.equal((await get(port, '/api/v1/gc')).status, 405)
})

test('a body that does not come is not waited for', async () => {
  const port = await serve(reporter, 50)
  const answer = await say(
    port,
    'POST /api/v1/gc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{',
  )
  assert.ok(answer === '' || /^HTTP\/1\.1 50[03]/.test(answer), answer)
})

test('progress is told at once, one at a time, and a client who leaves ends it', async () => {
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
  const port = await serve()
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
  const other = await change(port, 'POST', '/api/v1/gc', {})
  assert.equal(other.status, 409)
  assert.match(JSON.parse(other.body).error, /under way already/)
  while (begun === 0) await new Promise((resolve) => setImmediate(resolve))
  const left = new Promise((resolve) => called?.addEventListener('abort', resolve))
  asking.destroy()
  await left
  kept.onStep = () => {}
  let again = await change(port, 'POST', '/api/v1/verify', {})
  while (again.status === 409) again = await change(port, 'POST', '/api/v1/verify', {})
  assert.equal(linesOf(again).at(-1)?.is, 'done')
})

test('what fails in the middle is told in a line, without what it quotes', async () => {
  kept.put('layer')
  kept.onStep = () => Promise.reject(new Error('hunter2'))
  const port = await serve()
  const got = await change(port, 'POST', '/api/v1/verify', {})
  assert.equal(linesOf(got).at(-1)?.is, 'failed')
  assert.ok(!got.body.includes('hunter2'))
})

test('only GET and HEAD are answered where nothing can be changed', async () => {
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
  const port = await serve(reporter, 60_000, '0.0.0.0')
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
    pulls: () => reporter.pulls(),
    why: () => new Promise(() => {}),
    blobs: () => reporter.blobs(),
    images: async function* () {
      yield await Promise.reject(new Error('hunter2'))
    },
  }
  const port = await serve(failing)
  for (const path of ['/metrics', '/api/v1/status']) {
    const got = await get(port, path)
    assert.equal(got.status, 500)
    assert.ok(!got.body.includes('hunter2'))
  }
  assert.equal((await get(await serve(failing, 50), '/api/v1/why?subject=alpine')).status, 503)
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
  const broken = await get(await serve(reports), '/api/v1/blobs')
  assert.deepEqual([broken.status, broken.whole], [200, false])
  const hanging = await get(await serve(reports, 50), '/api/v1/images').catch(() => undefined)
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

function parts(): Reports {
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

async function reporterBlob() {
  node.put('layer')
  for await (const blob of reporter.blobs()) return { ...blob, digest: digestOf('layer') }
  return assert.fail('a blob was put there')
}
