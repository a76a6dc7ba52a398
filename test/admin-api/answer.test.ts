import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as v from 'valibot'
import type { Reports } from '../../src/admin-api/answer.ts'
import { PullsReport } from '../../src/schemas/pull-report.ts'
import { parseExposition } from '../observe/exposition.ts'
import { AdminFixture, sendRequest } from './admin-fixture.ts'

const fixture = new AdminFixture()

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

test('/readyz?asked says when no client has asked for an image for a while', async () => {
  const status = (startedAt: string, lastPullAt: string | null) => {
    const ready = fixture.reporter.ready.bind(fixture.reporter)
    const report = async () => ({ ...(await fixture.reporter.status()), startedAt, lastPullAt })
    const reports = new Proxy(fixture.reporter, {
      get: (target, name) =>
        name === 'status' ? report : name === 'ready' ? ready : Reflect.get(target, name).bind(target),
    })
    return fixture.startServer(reports)
  }
  const [long, now] = ['2020-01-01T00:00:00Z', new Date().toISOString()]
  const silent = await sendRequest(await status(long, null), '/readyz?asked=60')
  assert.equal(silent.status, 503)
  assert.match(
    silent.body,
    /^not ready: no client has asked for an image since the start \d+ s ago\nasked: no\n$/,
  )
  for (const [startedAt, lastPullAt, path, text] of [
    [long, null, '/readyz', 'ready\n'],
    [long, now, '/readyz?asked=60', 'ready\nasked: yes\n'],
    // An agent that has just started is ready, and says that no client has asked.
    [now, null, '/readyz?asked', 'ready\nasked: no\n'],
  ] as const) {
    const { status: code, body } = await sendRequest(await status(startedAt, lastPullAt), path)
    assert.deepEqual([code, body], [200, text], path)
  }
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
    history: () => fixture.reporter.history(),
    swarm: () => fixture.reporter.swarm(),
    why: () => new Promise(() => {}),
    blobs: () => fixture.reporter.blobs(),
    events: (signal) => fixture.reporter.events(signal),
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
