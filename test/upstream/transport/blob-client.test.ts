import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../src/ports/failure.ts'
import { startServer } from './scripted-server.ts'

const failure = (message: RegExp) => (error: unknown) =>
  error instanceof Failure && message.test(error.message)

test('a request is sent as HTTP/1.1 with its path, host and headers', async (t) => {
  let asked = ''
  const { get, body } = await startServer(t, (socket, request) => {
    asked = request
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const response = await get('/v2/a/blobs/x?y=1', { range: 'bytes=5-' })
  assert.equal((await body(response)).toString(), 'ok')
  assert.match(asked, /^GET \/v2\/a\/blobs\/x\?y=1 HTTP\/1\.1\r\nhost: 127\.0\.0\.1:\d+\r\nrange: bytes=5-$/)
})

test('a header value with a line break is not sent', async (t) => {
  const { get, sockets } = await startServer(t, () => {})
  await assert.rejects(get('/', { authorization: 'Bearer a\r\nX: y' }), failure(/cannot be sent/))
  assert.equal(sockets.length, 0)
})

test('a request on a reused connection that closes before it answers is sent once more on a new one', async (t) => {
  const { get, body, sockets } = await startServer(t, (socket, _, n) => {
    if (n === 1) socket.destroy()
    else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  await body(await get())
  assert.equal((await body(await get())).toString(), 'ok')
  assert.equal(sockets.length, 2)
})

test('a new connection that closes before it answers is a failure at once', async (t) => {
  const { get, sockets } = await startServer(t, (socket) => void socket.destroy())
  await assert.rejects(get(), Failure)
  assert.equal(sockets.length, 1)
})

test('a reused connection that closes within the head is a failure, because the server has received the request', async (t) => {
  const { get, body, sockets } = await startServer(t, (socket, _, n) => {
    if (n === 1) socket.end('HTTP/1.1 200')
    else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  await body(await get())
  await assert.rejects(get(), failure(/ended/))
  assert.equal(sockets.length, 1)
})

test('a body of undeclared length is requested again with the fallback, and later ones of the origin with the fallback only', async (t) => {
  let requests = 0
  const { get, fallbackUrls } = await startServer(t, (socket) => {
    requests += 1
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n')
  })
  await assert.rejects(get('/a'), /sent to the fallback/)
  await assert.rejects(get('/b'), /sent to the fallback/)
  assert.deepEqual(
    fallbackUrls.map(({ pathname }) => pathname),
    ['/a', '/b'],
  )
  assert.equal(requests, 1)
})

test('a 404 of undeclared length is returned like any other response', async (t) => {
  const { get, fallbackUrls, sockets } = await startServer(t, (socket) => {
    socket.write('HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n')
  })
  for (let i = 0; i < 2; i += 1) {
    const response = await get()
    assert.equal(response.status, 404)
    response.body.dispose()
  }
  assert.deepEqual([fallbackUrls.length, sockets.length], [0, 2])
})
