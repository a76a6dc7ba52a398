import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import {
  ALPINE,
  openSocket,
  readUntilClosed,
  requestHttp1,
  sendRaw,
  startTestServer,
} from '../test-server.ts'

const requestText = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`

test('pipelined requests are answered in order', async (t) => {
  const { port, resolver } = await startTestServer(t)
  const blob = resolver.putBlob(ALPINE, Buffer.alloc(2_000_000, 'b'))
  resolver.putManifest(ALPINE, Buffer.from('{"m":1}'), OCI_MANIFEST, 'latest')
  const text = await sendRaw(
    port,
    requestText(`/v2/alpine/blobs/${blob}`) +
      requestText('/v2/alpine/manifests/latest') +
      requestText('/v2/none/manifests/x') +
      requestText('/v2/', 'Connection: close\r\n'),
  )
  const bodies = text.split(/HTTP\/1\.1 \d+ [\s\S]*?\r\n\r\n/).slice(1)
  assert.equal(bodies[0]?.length, 2_000_000)
  assert.equal(bodies[1], '{"m":1}')
  assert.match(bodies[2] ?? '', /MANIFEST_UNKNOWN/)
  assert.equal(bodies[3], '{}')
})

test('a pipelined request reaches the resolver only after the answers before it are sent', async (t) => {
  const { port, resolver } = await startTestServer(t)
  const growing = resolver.growBlob(ALPINE, Buffer.alloc(1000))
  const socket = await openSocket(port)
  const closed = readUntilClosed(socket)
  socket.write(requestText(`/v2/alpine/blobs/${resolver.putBlob(ALPINE, Buffer.alloc(2000))}`))
  resolver.asked.length = 0
  growing.growTo(1)
  socket.write(requestText(`/v2/alpine/blobs/${digestOfZeros()}`) + requestText('/v2/alpine/tags/list'))
  await new Promise((resolve) => socket.once('data', resolve))
  while (resolver.asked.length < 2) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(resolver.asked.filter((asked) => asked.startsWith('tags')).length, 0)
  socket.destroy()
  await closed
})

test('a client that pipelines too many requests is cut off', async (t) => {
  const { port, resolver } = await startTestServer(t, { limits: { maxPipelined: 8 } })
  resolver.answersAfter = new Promise(() => {})
  const text = await sendRaw(port, requestText('/v2/alpine/manifests/latest').repeat(20))
  assert.equal(text, '')
  resolver.answersAfter = undefined
  assert.equal((await requestHttp1(port, '/v2/')).status, 200)
})

function digestOfZeros(): string {
  return 'sha256:541b3e9daa09b20bf85fa273e5cbd3e80185aa4ec298e765db87742b70138a53'
}
