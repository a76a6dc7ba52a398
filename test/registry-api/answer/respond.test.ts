import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure, type FailureCode } from '../../../src/ports/failure.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import {
  ALPINE,
  errorCodeOf,
  nextRequestEnded,
  requestHttp1,
  requestHttp2,
  startTestServer,
} from '../test-server.ts'

const DIGEST = digestOf(Buffer.from('x'))

test('every failure code has its status and OCI code, and none is a 401, 403, 408 or 429', async (t) => {
  const { port, resolver } = await startTestServer(t)
  const table: Record<FailureCode, [status: number, manifest: string, blob: string, tags: string]> = {
    absent: [404, 'MANIFEST_UNKNOWN', 'BLOB_UNKNOWN', 'NAME_UNKNOWN'],
    denied: [404, 'MANIFEST_UNKNOWN', 'BLOB_UNKNOWN', 'NAME_UNKNOWN'],
    unlisted: [404, 'MANIFEST_UNKNOWN', 'BLOB_UNKNOWN', 'NAME_UNKNOWN'],
    unsupported: [404, 'UNSUPPORTED', 'UNSUPPORTED', 'UNSUPPORTED'],
    busy: [503, 'UNAVAILABLE', 'UNAVAILABLE', 'UNAVAILABLE'],
    stopping: [503, 'UNAVAILABLE', 'UNAVAILABLE', 'UNAVAILABLE'],
    unavailable: [502, 'UNAVAILABLE', 'UNAVAILABLE', 'UNAVAILABLE'],
    stalled: [502, 'UNAVAILABLE', 'UNAVAILABLE', 'UNAVAILABLE'],
    corrupt: [502, 'UNAVAILABLE', 'UNAVAILABLE', 'UNAVAILABLE'],
    disk: [502, 'UNAVAILABLE', 'UNAVAILABLE', 'UNAVAILABLE'],
    'too-large': [502, 'SIZE_INVALID', 'SIZE_INVALID', 'SIZE_INVALID'],
  }
  for (const [code, [status, ...codes]] of Object.entries(table)) {
    resolver.failure = new Failure(code as FailureCode, 'it went wrong', { source: 'docker.io', status: 401 })
    const paths = [`manifests/${DIGEST}`, `blobs/${DIGEST}`, 'tags/list']
    for (const [index, path] of paths.entries()) {
      const got = await requestHttp1(port, `/v2/alpine/${path}`)
      assert.equal(got.status, status, `${code} ${path}`)
      assert.equal(errorCodeOf(got), codes[index], `${code} ${path}`)
      assert.match(got.body.toString(), code === 'unlisted' ? /only if its settings list/ : /it went wrong/)
      assert.equal(got.headers['www-authenticate'], undefined)
    }
  }
})

test('a 404 for an image that upstream gives only to others says so, with the status of upstream', async (t) => {
  const { port, resolver } = await startTestServer(t)
  const details = { source: 'docker.io', status: 401 }
  resolver.failure = new Failure('denied', 'docker.io refuses the credentials (status 401)', details)
  const { status, body } = await requestHttp1(port, '/v2/alpine/manifests/latest')
  assert.equal(status, 404)
  const [{ message, detail }] = JSON.parse(body.toString()).errors
  assert.equal(
    message,
    'the image is private or does not exist: docker.io wants credentials that the agent does not have (docker.io refuses the credentials (status 401))',
  )
  assert.deepEqual(detail, { reason: 'denied', source: 'docker.io', upstreamStatus: 401 })
})

test('a busy upstream is answered with Retry-After', async (t) => {
  const { port, resolver } = await startTestServer(t)
  resolver.failure = new Failure('busy', 'too many', { retryAfterMs: 1500 })
  assert.equal((await requestHttp1(port, '/v2/alpine/manifests/latest')).headers['retry-after'], '2')
})

test('a manifest whose media type is not a valid header value is answered with 502', async (t) => {
  const { port, resolver } = await startTestServer(t)
  resolver.putManifest(ALPINE, Buffer.from('{}'), 'a/b\r\nX: y', 'latest')
  for (const request of [requestHttp1, requestHttp2]) {
    const got = await request(port, '/v2/alpine/manifests/latest')
    assert.equal(got.status, 502)
    assert.equal(errorCodeOf(got), 'UNAVAILABLE')
  }
})

test('an unexpected error is a 502 that reveals nothing about it', async (t) => {
  const { port, resolver } = await startTestServer(t)
  resolver.failure = new TypeError('cannot read /secret/path')
  const ended = nextRequestEnded()
  const got = await requestHttp1(port, '/v2/alpine/manifests/latest')
  assert.equal(got.status, 502)
  assert.doesNotMatch(got.body.toString(), /secret|TypeError|at /)
  assert.equal((await ended).error, 'cannot read /secret/path')
})
