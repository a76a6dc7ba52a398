import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { stopServer } from '../../src/lib/stop-server.ts'

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

test('a server without requests stops, and one that does not listen is stopped already', async () => {
  const server = createServer()
  await stopServer(server)
  await listening(server)
  await stopServer(server)
  assert.equal(server.listening, false)
})

test('an answer that does not end in time is cut off', async () => {
  const server = createServer((_request, response) => response.write('begun'))
  const port = await listening(server)
  const asked = request({ host: '127.0.0.1', port }).end()
  const [answer] = await once(asked, 'response')
  const cut = once(answer, 'error')
  answer.resume()
  await stopServer(server, 1)
  const [error] = await cut
  assert.equal(error.code, 'ECONNRESET')
})
