import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openSocket, readUntilClosed, requestHttp1, sendRaw, startTestServer } from '../test-server.ts'

test('a small request body is ignored, and the connection serves the next request', async (t) => {
  const { port } = await startTestServer(t)
  const text = await sendRaw(
    port,
    'GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello' +
      'POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n' +
      'GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  )
  assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 405', 'HTTP/1.1 200'])
})

test('a request body that exceeds the limit closes the connection after the answer', async (t) => {
  const { port } = await startTestServer(t, { limits: { maxBodyBytes: 100_000 } })
  const socket = await openSocket(port)
  const closed = readUntilClosed(socket)
  socket.write('PUT /v2/a/manifests/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n')
  const chunk = Buffer.alloc(20_000)
  const more = setInterval(() => socket.write(chunk), 1)
  t.after(() => clearInterval(more))
  assert.match((await closed).text, /^HTTP\/1\.1 405 /)
  assert.equal((await requestHttp1(port, '/v2/')).status, 200)
})

test('a request is answered before its body has arrived', async (t) => {
  const { port } = await startTestServer(t, { limits: { requestMs: 100, headersMs: 50 } })
  const text = await sendRaw(port, 'GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n')
  assert.match(text, /^HTTP\/1\.1 200 /)
})

test('a request with Expect gets its answer at once, and its connection is closed', async (t) => {
  const { port } = await startTestServer(t)
  for (const expectation of ['100-continue', 'something-else']) {
    const text = await sendRaw(
      port,
      `PUT /v2/a/manifests/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: ${expectation}\r\n\r\n`,
    )
    assert.match(text, /^HTTP\/1\.1 405 [\s\S]*\r\nConnection: close\r\n/)
  }
})
