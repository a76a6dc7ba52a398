import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OCI_MANIFEST } from '../../src/oci/media-types.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { errorCodeOf, nextRequestEnded, requestHttp1, requestHttp2, startTestServer } from './test-server.ts'

const DIGEST = digestOf(Buffer.from('x'))

test('/v2/ answers 200 with an empty object', async (t) => {
  const { port } = await startTestServer(t)
  for (const path of ['/v2/', '/v2', '/v2/?ns=docker.io']) {
    for (const request of [requestHttp1, requestHttp2]) {
      const { status, headers, body } = await request(port, path)
      assert.equal(status, 200)
      assert.equal(headers['docker-distribution-api-version'], 'registry/2.0')
      assert.equal(body.toString(), '{}')
    }
  }
})

test('every form of addressing leads to the repository that the client means', async (t) => {
  const { port, resolver } = await startTestServer(t)
  for (const path of [
    '/v2/acme/app/manifests/v1?ns=ghcr.io',
    '/v2/ghcr.io/acme/app/manifests/v1',
    '/v2/proxy/ghcr.io/acme/app/manifests/v1',
    '/v2/ghcr.io/acme/app/manifests/v1?ns=ghcr.io',
    'http://ghcr.io/v2/ghcr.io/acme/app/manifests/v1',
  ]) {
    resolver.asked.length = 0
    await requestHttp1(port, path)
    assert.deepEqual(resolver.asked, ['manifest ghcr.io/acme/app v1'], path)
  }
})

test('an invalid path gets an OCI error, and the resolver is not called', async (t) => {
  const { port, resolver } = await startTestServer(t)
  const table: [path: string, status: number, code: string][] = [
    ['/', 404, 'UNSUPPORTED'],
    ['/v2/a', 404, 'UNSUPPORTED'],
    ['/v2/../../etc/passwd', 404, 'UNSUPPORTED'],
    ['/v2/../manifests/latest', 400, 'NAME_INVALID'],
    ['/v2/a/../b/manifests/latest', 400, 'NAME_INVALID'],
    ['/v2/%2e%2e/manifests/latest', 400, 'NAME_INVALID'],
    ['/v2/a%2f..%2fb/manifests/latest', 400, 'NAME_INVALID'],
    ['/v2/a%00b/manifests/latest', 400, 'NAME_INVALID'],
    ['/v2/%E0%A4%A/manifests/latest', 400, 'NAME_INVALID'],
    ['/v2//manifests/latest', 400, 'NAME_INVALID'],
    ['/v2/a//b/manifests/latest', 400, 'NAME_INVALID'],
    ['/v2/UPPER/manifests/latest', 400, 'NAME_INVALID'],
    [`/v2/${'a'.repeat(300)}/manifests/latest`, 400, 'NAME_INVALID'],
    ['/v2/a/manifests/latest?ns=..', 400, 'NAME_INVALID'],
    ['/v2/a/manifests/latest?ns=http%3A%2F%2Fevil', 400, 'NAME_INVALID'],
    ['/v2/a/manifests/latest?ns=%00', 400, 'NAME_INVALID'],
    ['/v2/a/blobs/sha256:xyz', 400, 'DIGEST_INVALID'],
    ['/v2/a/blobs/md5:d41d8cd98f00b204e9800998ecf8427e', 400, 'DIGEST_INVALID'],
    ['/v2/a/manifests/-tag', 404, 'MANIFEST_UNKNOWN'],
  ]
  for (const [path, status, code] of table) {
    for (const request of [requestHttp1, requestHttp2]) {
      const got = await request(port, path)
      assert.equal(got.status, status, path)
      assert.equal(errorCodeOf(got), code, path)
    }
  }
  assert.deepEqual(resolver.asked, [])
})

test('a repository that takes no pushes answers 405 with Allow, and says what to do', async (t) => {
  const { port, resolver } = await startTestServer(t)
  const id = '0a'.repeat(32)
  const table: [method: string, path: string][] = [
    ['POST', 'blobs/uploads/'],
    ['GET', `blobs/uploads/${id}`],
    ['PATCH', `blobs/uploads/${id}`],
    ['PUT', `blobs/uploads/${id}?digest=${DIGEST}`],
    ['DELETE', `blobs/uploads/${id}`],
    ['DELETE', `blobs/${DIGEST}`],
    ['PUT', 'manifests/latest'],
    ['DELETE', 'manifests/latest'],
    ['PUT', `manifests/${DIGEST}`],
    ['DELETE', `manifests/${DIGEST}`],
  ]
  for (const [method, path] of table) {
    for (const request of [requestHttp1, requestHttp2]) {
      const got = await request(port, `/v2/alpine/${path}`, { method })
      assert.equal(got.status, 405, `${method} ${path}`)
      assert.equal(got.headers['allow'], 'GET, HEAD')
      assert.equal(errorCodeOf(got), 'UNSUPPORTED')
      assert.match(got.body.toString(), /list it under `hosted` in the settings/)
    }
  }
  assert.deepEqual(resolver.asked, [])
})

test('a method that no path has gets a 405 that names those of the path', async (t) => {
  const { port } = await startTestServer(t)
  for (const [path, allow] of [
    ['/v2/', 'GET, HEAD'],
    ['/v2/alpine/tags/list', 'GET, HEAD'],
    ['/v2/alpine/manifests/v1', 'GET, HEAD, PUT, DELETE'],
  ] as const) {
    for (const request of [requestHttp1, requestHttp2]) {
      const got = await request(port, path, { method: 'OPTIONS' })
      assert.equal(got.status, 405)
      assert.equal(got.headers['allow'], allow)
      assert.equal(errorCodeOf(got), 'UNSUPPORTED')
    }
  }
})

test('a repository that is not allowed is 404 NAME_UNKNOWN, and the resolver is not called', async (t) => {
  const { port, resolver } = await startTestServer(t, { allow: ['ghcr.io/acme/**'] })
  resolver.putManifest({ registry: 'ghcr.io', name: 'acme/app' }, Buffer.from('{}'), OCI_MANIFEST, 'v1')
  assert.equal((await requestHttp1(port, '/v2/ghcr.io/acme/app/manifests/v1')).status, 200)
  resolver.asked.length = 0
  for (const path of ['manifests/latest', `blobs/${DIGEST}`, 'tags/list', `referrers/${DIGEST}`]) {
    const got = await requestHttp1(port, `/v2/alpine/${path}`)
    assert.equal(got.status, 404)
    assert.equal(errorCodeOf(got), 'NAME_UNKNOWN')
  }
  assert.deepEqual(resolver.asked, [])
})

test('an unknown method is published as OTHER', async (t) => {
  const { port } = await startTestServer(t)
  const ended = nextRequestEnded()
  assert.equal((await requestHttp2(port, '/v2/', { method: 'BREW-1' })).status, 405)
  const event = await ended
  assert.equal(event.method, 'OTHER')
  assert.equal(event.protocol, 'h2')
  assert.equal(event.route, 'refused')
})
