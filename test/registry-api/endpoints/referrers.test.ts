import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OCI_INDEX } from '../../../src/oci/media-types.ts'
import { Failure } from '../../../src/ports/failure.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { ALPINE, errorCodeOf, requestHttp1, startTestServer } from '../test-server.ts'

const SUBJECT = digestOf(Buffer.from('subject'))
const PATH = `/v2/alpine/referrers/${SUBJECT}`
const SBOM = { digest: SUBJECT, size: 1, artifactType: 'application/sbom', annotations: { a: 'b' } }
const SIGNATURE = { digest: SUBJECT, size: 1, artifactType: 'application/signature' }

test('referrers are sent as an image index, filtered by artifactType', async (t) => {
  const { port, resolver } = await startTestServer(t)
  resolver.putReferrers(ALPINE, SUBJECT, [SBOM, SIGNATURE])
  const all = await requestHttp1(port, PATH)
  assert.equal(all.status, 200)
  assert.equal(all.headers['content-type'], OCI_INDEX)
  assert.equal(all.headers['oci-filters-applied'], undefined)
  assert.deepEqual(JSON.parse(all.body.toString()).manifests, [SBOM, SIGNATURE])
  const some = await requestHttp1(port, `${PATH}?artifactType=application%2Fsbom`)
  assert.equal(some.headers['oci-filters-applied'], 'artifactType')
  assert.equal(some.headers['content-length'], String(some.body.length))
  assert.deepEqual(JSON.parse(some.body.toString()).manifests, [SBOM])
})

test('a subject without referrers gets an empty index, not a 404', async (t) => {
  const { port } = await startTestServer(t)
  const { status, headers, body } = await requestHttp1(port, PATH)
  assert.equal(status, 200)
  assert.equal(headers['content-type'], OCI_INDEX)
  assert.deepEqual(JSON.parse(body.toString()), { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] })
})

test('when upstream cannot list referrers, the answer is an error, not an empty index or a 404', async (t) => {
  const { port, resolver } = await startTestServer(t)
  for (const code of ['unavailable', 'stalled', 'denied', 'busy', 'unsupported'] as const) {
    resolver.failure = new Failure(code, 'upstream is unreachable')
    const { status } = await requestHttp1(port, PATH)
    assert.ok(status >= 500, `${code}: ${status}`)
  }
})

test('an invalid digest is 400 DIGEST_INVALID', async (t) => {
  const { port } = await startTestServer(t)
  const got = await requestHttp1(port, '/v2/alpine/referrers/sha256:0')
  assert.equal(got.status, 400)
  assert.equal(errorCodeOf(got), 'DIGEST_INVALID')
})
