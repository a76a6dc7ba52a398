import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as v from 'valibot'
import type { Reports } from '../../src/admin-api/answer.ts'
import { PullsReport } from '../../src/schemas/pull-report.ts'
import { parseExposition } from '../observe/exposition.ts'
import { digestOf } from '../observe/memory-node.ts'
import { AdminFixture, sendRequest } from './admin-fixture.ts'

const fixture = new AdminFixture()

const PAGE = fileURLToPath(new URL('../../../src/page/', import.meta.url))

test('/healthz, /readyz and /metrics answer', async () => {
  const port = await fixture.startServer()
  assert.deepEqual(
    [(await sendRequest(port, '/healthz')).status, (await sendRequest(port, '/healthz')).body],
    [200, 'ok\n'],
  )
  assert.equal((await sendRequest(port, '/readyz')).status, 200)
  fixture.node.reasons.push('the store is closed')
  const notReady = await sendRequest(port, '/readyz')
  assert.deepEqual([notReady.status, notReady.body], [503, 'not ready: the store is closed\n'])
  const metrics = await sendRequest(port, '/metrics')
  assert.equal(metrics.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  assert.ok(parseExposition(metrics.body).has('leat_store_bytes'))
})

test('the API answers in JSON', async () => {
  fixture.node.tagAs('3.20', fixture.node.putImage(['layer']).digest)
  const port = await fixture.startServer()
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
  const page = await sendRequest(await fixture.startServer(), '/')
  assert.match(String(page.headers['content-type']), /^text\/html/)
  for (const path of ['/metrics', '/healthz', '/readyz', '/api/v1/status', '/api/v1/why'])
    assert.ok(page.body.includes(path))
})

test('every file of the page is served, and everything that its scripts import', async () => {
  const port = await fixture.startServer()
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

test('an invalid read request gets a JSON error', async () => {
  const port = await fixture.startServer()
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

test('a report that fails is a 500 without its message, a report that hangs is a 503', async () => {
  const failing: Reports = {
    ready: () => fixture.reporter.ready(),
    metrics: () => {
      throw new Error('hunter2')
    },
    status: () => Promise.reject(new Error('hunter2')),
    pulls: () => fixture.reporter.pulls(),
    why: () => new Promise(() => {}),
    blobs: () => fixture.reporter.blobs(),
    images: async function* () {
      yield await Promise.reject(new Error('hunter2'))
    },
  }
  const port = await fixture.startServer(failing)
  for (const path of ['/metrics', '/api/v1/status']) {
    const got = await sendRequest(port, path)
    assert.equal(got.status, 500)
    assert.ok(!got.body.includes('hunter2'))
  }
  assert.equal(
    (await sendRequest(await fixture.startServer(failing, { timeoutMs: 50 }), '/api/v1/why?subject=alpine'))
      .status,
    503,
  )
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
  const broken = await sendRequest(await fixture.startServer(reports), '/api/v1/blobs')
  assert.deepEqual([broken.status, broken.isComplete], [200, false])
  const hanging = await sendRequest(
    await fixture.startServer(reports, { timeoutMs: 50 }),
    '/api/v1/images',
  ).catch(() => undefined)
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
  const port = await fixture.startServer(reports, { timeoutMs: 100 })
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write('GET /api/v1/blobs HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await once(socket, 'readable')
  // The client reads nothing more, so the server closes the connection and the list after the timeout.
  await closed
  socket.destroy()
  assert.ok(produced < 1000, `${produced} values were produced for a client that does not read`)
})

function workingReports(): Reports {
  return {
    ready: () => fixture.reporter.ready(),
    metrics: () => fixture.reporter.metrics(),
    status: () => fixture.reporter.status(),
    pulls: () => fixture.reporter.pulls(),
    why: (subject) => fixture.reporter.why(subject),
    blobs: () => fixture.reporter.blobs(),
    images: () => fixture.reporter.images(),
  }
}

async function reportedBlob() {
  fixture.node.put('layer')
  for await (const blob of fixture.reporter.blobs()) return { ...blob, digest: digestOf('layer') }
  return assert.fail('a blob was put there')
}
