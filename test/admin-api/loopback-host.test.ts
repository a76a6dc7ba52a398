import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AdminFixture, sendRaw, sendRequest } from './admin-fixture.ts'

const fixture = new AdminFixture()

test('on loopback a request with a foreign Host is refused with 403', async () => {
  const port = await fixture.startServer()
  for (const host of [
    'evil.example',
    'evil.example:5051',
    '127.0.0.1.evil.example',
    '10.0.0.1',
    '[::2]',
    'a b',
    'localhost@evil',
  ]) {
    assert.equal((await sendRequest(port, '/api/v1/status', { host })).status, 403, host)
  }
  for (const host of ['localhost', `127.0.0.1:${port}`, 'LOCALHOST:80', '[::1]:5051', 'node.localhost']) {
    assert.equal((await sendRequest(port, '/api/v1/status', { host })).status, 200, host)
  }
  assert.match(await sendRaw(port, 'GET /healthz HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 200/)
  assert.match(await sendRaw(port, 'GET /healthz HTTP/1.1\r\n\r\n'), /^HTTP\/1\.1 400/)
})

test('a server that does not listen on loopback answers requests with any Host', async () => {
  const port = await fixture.startServer(undefined, { host: '0.0.0.0' })
  assert.equal((await sendRequest(port, '/healthz', { host: 'node-7.cluster.local:5051' })).status, 200)
})
