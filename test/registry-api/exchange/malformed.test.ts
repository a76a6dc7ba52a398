import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { digestOf } from '../../../testkit/memory/digests.ts'
import {
  ALPINE,
  openSocket,
  readUntilClosed,
  requestHttp1,
  sendRaw,
  startTestServer,
} from '../test-server.ts'

function assertOciError(text: string, status: RegExp): void {
  const [head = '', body = ''] = text.split('\r\n\r\n')
  assert.match(head, status)
  assert.match(head, /\r\nContent-Type: application\/json\r\n/)
  assert.match(head, /\r\nConnection: close/)
  const { errors } = JSON.parse(body) as { errors: { code: string; message: string }[] }
  assert.equal(errors.length, 1)
  assert.doesNotMatch(body, /HPE_|node:|at /)
}

test('a malformed request gets a 400 with an OCI error, and the agent keeps serving', async (t) => {
  const { port } = await startTestServer(t)
  for (const bytes of [
    'GARBAGE\r\n\r\n',
    '\0\0\0\0\r\n\r\n',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'GET /v2/\0 HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET /v2/ HTTP/9.9\r\nHost: x\r\n\r\n',
    'GET  HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET /v2/ HTTP/1.1\r\nHost: x\r\nBad Header: x\r\n\r\n',
    'GET /v2/ HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n',
    'GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
    'GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    'GET /v2/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n',
    'GET /v2/ HTTP/1.1\nHost: x\r\n: none\r\n\r\n',
  ]) {
    assertOciError(await sendRaw(port, bytes), /^HTTP\/1\.1 400 Bad Request\r\n/)
  }
  assert.equal((await requestHttp1(port, '/v2/')).status, 200)
})

test('an HTTP/1.1 request without Host gets a 400, an HTTP/1.0 request without Host is answered', async (t) => {
  const { port } = await startTestServer(t)
  const without = await sendRaw(port, 'GET /v2/ HTTP/1.1\r\nConnection: close\r\n\r\n')
  assertOciError(without, /^HTTP\/1\.1 400 Bad Request\r\n/)
  assert.match(await sendRaw(port, 'GET /v2/ HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 200 OK\r\n/)
})

test('request headers that are too large get a 431', async (t) => {
  const { port } = await startTestServer(t)
  const huge = 'x'.repeat(64 * 1024)
  for (const bytes of [
    `GET /v2/ HTTP/1.1\r\nHost: x\r\nX: ${huge}\r\n\r\n`,
    `GET /v2/?${huge} HTTP/1.1\r\nHost: x\r\n\r\n`,
    `GET /v2/ HTTP/1.1\r\nHost: x\r\n${'X: y\r\n'.repeat(20_000)}\r\n`,
  ]) {
    assertOciError(await sendRaw(port, bytes), /^HTTP\/1\.1 431 /)
  }
  assert.equal((await requestHttp1(port, '/v2/')).status, 200)
})

test('a request that does not arrive in time gets a 400, not a 408, after which clients retry', async (t) => {
  const { port } = await startTestServer(t, { limits: { headersMs: 50 } })
  const slow = await sendRaw(port, 'GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Slow: ')
  assertOciError(slow, /^HTTP\/1\.1 400 /)
  assert.match(slow, /timed out/)
})

test('a client that has closed its sending side still gets its answer', async (t) => {
  const { port, resolver } = await startTestServer(t)
  const body = Buffer.from('first and last')
  const growing = resolver.growBlob(ALPINE, body)
  growing.growTo(5)
  const whole = await openSocket(port)
  const answer = readUntilClosed(whole)
  whole.end(`GET /v2/alpine/blobs/${digestOf(body)} HTTP/1.1\r\nHost: x\r\n\r\n`)
  await once(whole, 'data')
  growing.growTo(body.length)
  assert.match((await answer).text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nfirst and last$/)

  const half = await openSocket(port)
  const errorAnswer = readUntilClosed(half)
  half.end('GET /v2/ HTTP/1.1\r\nHost:')
  assertOciError((await errorAnswer).text, /^HTTP\/1\.1 400 /)
})

test('malformed bytes after a valid request get their 400 after the answer to that request', async (t) => {
  const { port, resolver } = await startTestServer(t)
  const body = Buffer.alloc(300_000, 'm')
  const digest = resolver.putBlob(ALPINE, body)
  const text = await sendRaw(
    port,
    `GET /v2/alpine/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\nGARBAGE\r\n\r\n`,
  )
  const second = text.indexOf('HTTP/1.1 400')
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/)
  assert.ok(text.slice(0, second).endsWith(`\r\n\r\n${body}`))
  assertOciError(text.slice(second), /^HTTP\/1\.1 400 /)
})

test('a client that keeps sending after a 400 is disconnected', async (t) => {
  const { port } = await startTestServer(t)
  const socket = await openSocket(port)
  const closed = readUntilClosed(socket)
  const more = setInterval(() => socket.write('more'), 10)
  t.after(() => clearInterval(more))
  socket.write('GARBAGE\r\n\r\n')
  assert.match((await closed).text, /^HTTP\/1\.1 400 /)
})
