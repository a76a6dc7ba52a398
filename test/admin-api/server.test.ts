import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { AdminFixture, sendRaw, sendRequest } from './admin-fixture.ts'

const fixture = new AdminFixture()

test('every answer forbids browsers to load or run anything from elsewhere, or to show it in a frame', async () => {
  const port = await fixture.startServer()
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

test('a path without commands answers other methods than GET and HEAD with 405', async () => {
  const port = await fixture.startServer()
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    const got = await sendRequest(port, '/metrics', { method })
    assert.deepEqual([got.status, got.headers['allow']], [405, 'GET, HEAD'], method)
  }
  for (const path of ['/metrics', '/api/v1/blobs', '/api/v1/status']) {
    const head = await sendRequest(port, path, { method: 'HEAD' })
    assert.deepEqual([head.status, head.body], [200, ''], path)
  }
})

test('malformed and oversized requests get a 4xx, and the server keeps serving', async () => {
  const port = await fixture.startServer()
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

test('stop closes connections that are kept open, and refuses new ones', async () => {
  const port = await fixture.startServer()
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await once(socket, 'data')
  const closed = once(socket, 'close')
  await fixture.running[0]?.stop()
  await closed
  await assert.rejects(sendRequest(port, '/healthz'), { code: 'ECONNREFUSED' })
})

test('start rejects with EADDRINUSE when the address is in use', async () => {
  const port = await fixture.startServer()
  await assert.rejects(fixture.startServer(undefined, { port }), { code: 'EADDRINUSE' })
})

test('an address for monitoring answers metrics and health, and nothing else', async () => {
  const port = await fixture.startServer(undefined, { offer: 'monitoring' })
  for (const path of ['/metrics', '/healthz', '/readyz', '/readyz?warm=1']) {
    assert.equal((await sendRequest(port, path)).status, 200, path)
    assert.equal((await sendRequest(port, path, { method: 'HEAD' })).status, 200, path)
  }
  const post = await sendRequest(port, '/metrics?a=b', { method: 'POST' })
  assert.deepEqual([post.status, post.headers['allow']], [405, 'GET, HEAD'])
  const json = { 'content-type': 'application/json' }
  for (const [method, path] of [
    ['GET', '/'],
    ['GET', '/page/main.js'],
    ['GET', '/api/v1/status'],
    ['GET', '/api/v1/why?subject=alpine:3'],
    ['POST', '/api/v1/gc'],
    ['DELETE', '/api/v1/images'],
  ] as const) {
    const got = await sendRequest(port, path, { method, headers: json })
    assert.equal(got.status, 404, `${method} ${path}`)
    assert.match(got.body, /there are \/metrics, \/healthz, \/readyz"/)
  }
})
