import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { startServer } from '../../upstream/transport/scripted-server.ts'

test('unrequested bytes close an idle connection', async (t) => {
  const { get, body, sockets } = await startServer(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  await body(await get())
  const [first] = sockets
  assert.ok(first)
  first.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil')
  await once(first, 'close')
  assert.equal((await body(await get())).toString(), 'ok')
  assert.equal(sockets.length, 2)
})

test('a connection whose response says close is closed after the body', async (t) => {
  const { get, body, sockets } = await startServer(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok')
  })
  for (let i = 0; i < 2; i += 1) await body(await get())
  assert.equal(sockets.length, 2)
})

test('an idle connection is closed after its time limit', async (t) => {
  const { get, body, sockets } = await startServer(
    t,
    (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'),
    { idleMs: 20 },
  )
  await body(await get())
  const [socket] = sockets
  assert.ok(socket)
  await once(socket, 'close')
})

test('at most 16 idle connections are kept for one origin', async (t) => {
  const { get, body, sockets } = await startServer(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const responses = await Promise.all(Array.from({ length: 20 }, () => get()))
  assert.equal(sockets.length, 20)
  const closed = sockets.map((socket) => once(socket, 'close'))
  let closes = 0
  for (const each of closed) each.then(() => (closes += 1)).catch(() => {})
  await Promise.all(responses.map((response) => body(response)))
  await Promise.race([Promise.all(closed), new Promise((resolve) => setImmediate(resolve))])
  while (closes < 4) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(closes, 4)
})
