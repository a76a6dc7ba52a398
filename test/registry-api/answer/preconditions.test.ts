import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import { ifMatchHolds } from '../../../src/registry-api/answer/preconditions.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { fc } from '../../../testkit/property-runs.ts'
import { ALPINE, errorCodeOf, requestHttp1, requestHttp2, startTestServer } from '../test-server.ts'

const BLOB = Buffer.from('a blob')
const MANIFEST = Buffer.from('{ "schemaVersion": 2 }')

test('If-Match is a list of entity tags, compared strongly', () => {
  for (const value of [
    undefined,
    '*',
    ' * ',
    '"e"',
    ' "e" ',
    '"a", "e"',
    '"e","a"',
    'W/"e", "e"',
    '"a,b", "e"',
  ]) {
    assert.ok(ifMatchHolds(value, '"e"'), value)
  }
  for (const value of ['', '"a"', 'e', '"E"', 'W/"e"', '"a", W/"e"', 'w/"e"', '"*"', '"a,e"', '"e']) {
    assert.ok(!ifMatchHolds(value, '"e"'), value)
  }
})

test('If-Match holds when its list contains the entity tag, whatever else it contains', () => {
  const opaque = fc.stringMatching(/^[!#-~]{0,8}$/).filter((text) => text !== 'e')
  const tag = fc.tuple(fc.boolean(), opaque).map(([weak, text]) => `${weak ? 'W/' : ''}"${text}"`)
  fc.assert(
    fc.property(fc.array(tag, { minLength: 1 }), fc.nat(10), (tags, at) => {
      assert.ok(!ifMatchHolds(tags.join(', '), '"e"'))
      assert.ok(ifMatchHolds(tags.toSpliced(at, 0, '"e"').join(', '), '"e"'))
    }),
  )
})

test('a request whose If-Match does not include the digest gets a 412, and fetches no content that it names by digest', async (t) => {
  const { port, resolver } = await startTestServer(t)
  const blob = resolver.putBlob(ALPINE, BLOB)
  const manifest = resolver.putManifest(ALPINE, MANIFEST, OCI_MANIFEST, 'latest')
  const table: [path: string, etag: string, asked: string][] = [
    [`/v2/alpine/blobs/${blob}`, `"${blob}"`, `blobHead docker.io/library/alpine ${blob}`],
    [
      `/v2/alpine/manifests/${manifest}`,
      `"${manifest}"`,
      `manifestHead docker.io/library/alpine ${manifest}`,
    ],
    ['/v2/alpine/manifests/latest', `"${manifest}"`, 'manifest docker.io/library/alpine latest'],
  ]
  for (const [path, etag, asked] of table) {
    for (const request of [requestHttp1, requestHttp2]) {
      for (const method of ['GET', 'HEAD']) {
        for (const ifMatch of ['"other"', `W/${etag}`]) {
          resolver.asked.length = 0
          const got = await request(port, path, {
            method,
            headers: { 'if-match': ifMatch, 'if-none-match': etag, range: 'bytes=0-0' },
          })
          assert.equal(got.status, 412, `${method} ${path}`)
          assert.equal(got.headers.etag, etag)
          assert.equal(got.headers['cache-status'], 'leat; hit')
          if (method === 'GET') assert.equal(errorCodeOf(got), 'UNSUPPORTED')
          else assert.equal(got.body.length, 0)
          assert.deepEqual(resolver.asked, [asked])
        }
        for (const ifMatch of ['*', etag, `"other", ${etag}`]) {
          const got = await request(port, path, { method, headers: { 'if-match': ifMatch } })
          assert.equal(got.status, 200, `${method} ${path} ${ifMatch}`)
        }
      }
    }
  }
  await resolver.allClosed()
})

test('content that does not exist is 404, whatever If-Match says', async (t) => {
  const { port } = await startTestServer(t)
  const table: [path: string, code: string][] = [
    [`/v2/alpine/blobs/${digestOf(BLOB)}`, 'BLOB_UNKNOWN'],
    [`/v2/alpine/manifests/${digestOf(MANIFEST)}`, 'MANIFEST_UNKNOWN'],
    ['/v2/alpine/manifests/latest', 'MANIFEST_UNKNOWN'],
  ]
  for (const [path, code] of table) {
    for (const ifMatch of ['*', '"other"', `"${digestOf(BLOB)}"`, `"${digestOf(MANIFEST)}"`]) {
      const headers = { 'if-match': ifMatch }
      const got = await requestHttp1(port, path, { headers })
      assert.equal(got.status, 404)
      assert.equal(errorCodeOf(got), code)
      assert.equal((await requestHttp1(port, path, { method: 'HEAD', headers })).status, 404)
    }
  }
})

test('date conditions are ignored, and answers have no Last-Modified', async (t) => {
  const { port, resolver } = await startTestServer(t)
  const blob = resolver.putBlob(ALPINE, BLOB)
  resolver.putManifest(ALPINE, MANIFEST, OCI_MANIFEST, 'latest')
  for (const path of [`/v2/alpine/blobs/${blob}`, '/v2/alpine/manifests/latest']) {
    for (const date of ['Sat, 01 Jan 2000 00:00:00 GMT', 'Fri, 01 Jan 2100 00:00:00 GMT']) {
      for (const name of ['if-modified-since', 'if-unmodified-since']) {
        const got = await requestHttp1(port, path, { headers: { [name]: date } })
        assert.equal(got.status, 200)
        assert.equal(got.headers['last-modified'], undefined)
      }
    }
  }
})
