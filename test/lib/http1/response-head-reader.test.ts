import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Failure } from '../../../src/ports/failure.ts'
import { startServer } from '../../upstream/transport/scripted-server.ts'

const failure = (message: RegExp) => (error: unknown) =>
  error instanceof Failure && message.test(error.message)

test('head and body may be split over any number of reads', async (t) => {
  const { get, body } = await startServer(t, async (socket) => {
    socket.setNoDelay(true)
    for (const byte of 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody') {
      socket.write(byte)
      await new Promise((resolve) => setImmediate(resolve))
    }
  })
  assert.equal((await body(await get())).toString(), 'body')
})

test('interim responses are skipped, also when they come in one read with the final one', async (t) => {
  const { get, body } = await startServer(t, (socket) => {
    const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'
    socket.write(`HTTP/1.1 100 Continue\r\n\r\n${hints}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`)
  })
  assert.equal((await body(await get())).toString(), 'ok')
})

test('too many interim responses are a failure', async (t) => {
  const { get } = await startServer(t, (socket) => {
    socket.write('HTTP/1.1 100 Continue\r\n\r\n'.repeat(9))
  })
  await assert.rejects(get(), failure(/interim/))
})

test('a switch of protocols is refused', async (t) => {
  const { get } = await startServer(
    t,
    (socket) => void socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'),
  )
  await assert.rejects(get(), failure(/switch of protocols/))
})

test('a head of more than 64 KiB is a failure', async (t) => {
  const { get } = await startServer(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n')
    const more = (error?: Error | null): void => {
      if (error === undefined || error === null) socket.write(`X: ${'x'.repeat(8000)}\r\n`, more)
    }
    more()
  })
  await assert.rejects(get(), failure(/too long/))
})

test('a head that ends within the limit may be followed by a body in the same read', async (t) => {
  const content = randomBytes(200_000)
  const { get, body } = await startServer(t, (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(60_000)}\r\nContent-Length: ${content.length}\r\n\r\n`)
    socket.write(content)
  })
  assert.ok((await body(await get())).equals(content))
})

for (const [what, text] of [
  ['a greeting of another protocol', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc'],
  ['a length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nabc'],
] as const) {
  test(`a response head with ${what} is refused`, async (t) => {
    const { get } = await startServer(t, (socket) => void socket.write(text))
    await assert.rejects(get(), failure(/broken response head/))
  })
}
