import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import {
  ALPINE,
  errorCodeOf,
  nextRequestEnded,
  requestHttp1,
  requestHttp2,
  startTestServer,
} from '../test-server.ts'

const BYTES = Buffer.from('{ "schemaVersion":2,\n\t"layers": [] }')

test('a manifest is sent as its stored bytes, with media type, digest and ETag', async (t) => {
  const { port, resolver } = await startTestServer(t)
  const digest = resolver.putManifest(ALPINE, BYTES, OCI_MANIFEST, 'latest')
  for (const reference of ['latest', digest]) {
    for (const request of [requestHttp1, requestHttp2]) {
      const got = await request(port, `/v2/library/alpine/manifests/${reference}`, {
        headers: { accept: 'text/plain' },
      })
      assert.equal(got.status, 200)
      assert.deepEqual(got.body, BYTES)
      assert.equal(got.headers['content-type'], OCI_MANIFEST)
      assert.equal(got.headers['content-length'], String(BYTES.length))
      assert.equal(got.headers['docker-content-digest'], digest)
      assert.equal(got.headers.etag, `"${digest}"`)
      assert.equal(got.headers['cache-status'], 'leat; hit')
      assert.equal(got.headers['docker-distribution-api-version'], 'registry/2.0')
      assert.equal(got.headers['content-encoding'], undefined)
      assert.equal(got.headers['transfer-encoding'], undefined)

      const head = await request(port, `/v2/library/alpine/manifests/${reference}`, { method: 'HEAD' })
      assert.equal(head.status, 200)
      assert.equal(head.body.length, 0)
      for (const name of ['content-type', 'content-length', 'docker-content-digest', 'etag']) {
        assert.equal(head.headers[name], got.headers[name])
      }
    }
  }
})

test('a client whose If-None-Match has the digest gets a 304', async (t) => {
  const { port, resolver } = await startTestServer(t)
  const digest = resolver.putManifest(ALPINE, BYTES, OCI_MANIFEST, 'latest')
  for (const method of ['GET', 'HEAD']) {
    const headers = { 'if-none-match': `"${digest}"` }
    const got = await requestHttp1(port, '/v2/alpine/manifests/latest', { method, headers })
    assert.equal(got.status, 304)
    assert.equal(got.headers.etag, `"${digest}"`)
    assert.equal(got.body.length, 0)
  }
})

test('ranges of a manifest are served like those of a blob', async (t) => {
  const { port, resolver } = await startTestServer(t)
  resolver.putManifest(ALPINE, BYTES, OCI_MANIFEST, 'latest')
  const size = BYTES.length
  const range = (value: string) =>
    requestHttp1(port, '/v2/alpine/manifests/latest', { headers: { range: value } })

  const all = await range('bytes=0-')
  assert.equal(all.status, 206)
  assert.deepEqual(all.body, BYTES)
  assert.equal(all.headers['content-range'], `bytes 0-${size - 1}/${size}`)
  assert.equal(all.headers['content-type'], OCI_MANIFEST)

  const some = await range('bytes=2-5')
  assert.deepEqual(some.body, BYTES.subarray(2, 6))

  const two = await range('bytes=0-1,4-5')
  assert.equal(two.status, 206)
  assert.equal(two.headers['content-length'], String(two.body.length))
  assert.match(two.body.toString(), /bytes 0-1\/\d+\r\n\r\n\{ \r\n/)

  const beyond = await range(`bytes=${size}-`)
  assert.equal(beyond.status, 416)
  assert.equal(beyond.headers['content-range'], `bytes */${size}`)
  assert.equal(errorCodeOf(beyond), 'RANGE_INVALID')
})

test('a manifest is served in up to 256 ranges, like a blob', async (t) => {
  const { port, resolver } = await startTestServer(t)
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, text: 'a manifest '.repeat(100) }))
  resolver.putManifest(ALPINE, bytes, OCI_MANIFEST, 'latest')
  const range = (count: number) => `bytes=${Array.from({ length: count }, (_, i) => `${i * 2}-${i * 2}`)}`
  const many = await requestHttp1(port, '/v2/alpine/manifests/latest', { headers: { range: range(256) } })
  assert.equal(many.status, 206)
  assert.equal(many.headers['content-length'], String(many.body.length))
  assert.equal(many.body.toString().match(/Content-Range: bytes /g)?.length, 256)
  const more = await requestHttp1(port, '/v2/alpine/manifests/latest', { headers: { range: range(257) } })
  assert.equal(more.status, 200)
  assert.deepEqual(more.body, bytes)
})

test('a stale manifest is sent with a Warning header', async (t) => {
  const { port, resolver } = await startTestServer(t)
  resolver.putManifest(ALPINE, BYTES, OCI_MANIFEST, 'latest')
  resolver.cacheResult = { kind: 'stale-if-error' }
  const { headers } = await requestHttp1(port, '/v2/alpine/manifests/latest')
  assert.equal(headers['cache-status'], 'leat; hit; detail=stale-if-error')
  assert.match(String(headers['warning']), /^110 .*111 /)
})

test('a manifest that does not exist is 404 MANIFEST_UNKNOWN', async (t) => {
  const { port } = await startTestServer(t)
  const missing = await requestHttp1(port, `/v2/alpine/manifests/${digestOf(BYTES)}`)
  assert.equal(missing.status, 404)
  assert.equal(errorCodeOf(missing), 'MANIFEST_UNKNOWN')
  const head = await requestHttp1(port, '/v2/alpine/manifests/none', { method: 'HEAD' })
  assert.equal(head.status, 404)
  assert.equal(head.body.length, 0)
})

test('request.ended is published once for a request, when it is over', async (t) => {
  const { port, resolver } = await startTestServer(t)
  resolver.putManifest(ALPINE, BYTES, OCI_MANIFEST, 'latest')
  resolver.cacheResult = { kind: 'miss', from: 'upstream', collapsed: true }
  const ended = nextRequestEnded()
  await requestHttp1(port, '/v2/alpine/manifests/latest')
  const { ms, ...event } = await ended
  assert.ok(ms >= 0)
  assert.deepEqual(event, {
    route: 'manifest',
    method: 'GET',
    code: 200,
    bytes: BYTES.length,
    source: 'inflight',
    repository: ALPINE,
    reference: 'latest',
    cacheStatus: 'leat; fwd=uri-miss; detail=upstream; collapsed',
    protocol: 'http/1.1',
    client: '127.0.0.1',
    aborted: false,
    error: undefined,
    failedSource: undefined,
  })
})
