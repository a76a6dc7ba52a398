import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { test } from 'node:test'
import { digestOf } from '../observe/memory-node.ts'
import {
  AdminFixture,
  type ReceivedAnswer,
  type RequestOptions,
  sendRaw,
  sendRequest,
} from './admin-fixture.ts'

const fixture = new AdminFixture()

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
  fixture.store.put('layer')
  fixture.store.put('image', ['layer'])
  fixture.store.put('other')
  fixture.store.tagAs('3', 'image')
  const port = await fixture.startServer()
  const pinned = await sendCommand(port, 'POST', '/api/v1/pins', { subjects: ['alpine:3'] })
  assert.deepEqual(JSON.parse(pinned.body), {
    pins: [
      {
        subject: 'alpine:3',
        digest: digestOf('image'),
        changed: true,
        pinnedBy: ['docker.io/library/alpine:3'],
      },
    ],
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
  assert.equal(fixture.store.stored.size, 0)
})

test('a web page can run no command, whatever it sends', async () => {
  fixture.store.put('layer')
  const port = await fixture.startServer()
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
  assert.equal(fixture.store.stored.size, 1)
})

test('an invalid command, or one for content that is not stored, gets a JSON error', async () => {
  const port = await fixture.startServer()
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
  const port = await fixture.startServer(undefined, { timeoutMs: 50 })
  const answer = await sendRaw(
    port,
    'POST /api/v1/gc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{',
  )
  assert.ok(answer === '' || /^HTTP\/1\.1 50[03]/.test(answer), answer)
})

test('a command sends progress at once, runs alone, and ends when its client disconnects', async () => {
  fixture.store.put('layer')
  let called: AbortSignal | undefined
  let begun = 0
  fixture.store.onStep = (signal) => {
    begun += 1
    called = signal
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
    })
  }
  const port = await fixture.startServer()
  const sent = request({
    host: '127.0.0.1',
    port,
    path: '/api/v1/verify',
    method: 'POST',
    headers: JSON_TYPE,
    agent: false,
  })
  sent.on('error', () => {})
  sent.end()
  const [response] = await once(sent, 'response')
  response.on('error', () => {})
  const [first] = await once(response.setEncoding('utf8'), 'data')
  assert.equal(JSON.parse(first.split('\n')[0]).is, 'progress')
  const other = await sendCommand(port, 'POST', '/api/v1/gc', {})
  assert.equal(other.status, 409)
  assert.match(JSON.parse(other.body).error, /is already running/)
  while (begun === 0) await new Promise((resolve) => setImmediate(resolve))
  const left = new Promise((resolve) => called?.addEventListener('abort', resolve))
  sent.destroy()
  await left
  fixture.store.onStep = () => {}
  let again = await sendCommand(port, 'POST', '/api/v1/verify', {})
  while (again.status === 409) again = await sendCommand(port, 'POST', '/api/v1/verify', {})
  assert.equal(linesOf(again).at(-1)?.is, 'done')
})

test('a command that fails in the middle sends a failed line without the message of an unexpected error', async () => {
  fixture.store.put('layer')
  fixture.store.onStep = () => Promise.reject(new Error('hunter2'))
  const port = await fixture.startServer()
  const got = await sendCommand(port, 'POST', '/api/v1/verify', {})
  assert.equal(linesOf(got).at(-1)?.is, 'failed')
  assert.ok(!got.body.includes('hunter2'))
})
