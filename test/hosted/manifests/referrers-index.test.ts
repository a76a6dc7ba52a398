import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeReferrer } from '../../../src/hosted/manifests/referrers-index.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'

const config = { digest: digestOf(Buffer.from('config')), size: 2, mediaType: 'application/vnd.example+json' }
const annotations = { 'org.example.key': 'value' }

function artifactTypeOf(manifest: object, mediaType = OCI_MANIFEST): string | undefined {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, ...manifest }))
  return describeReferrer(digestOf(bytes), mediaType, bytes).artifactType
}

test('a referrer has its own artifact type, or else that of its config', () => {
  assert.equal(artifactTypeOf({ artifactType: 'application/x-sbom', config }), 'application/x-sbom')
  assert.equal(artifactTypeOf({ artifactType: '', config }), config.mediaType)
  assert.equal(artifactTypeOf({ config }), config.mediaType)
  assert.equal(artifactTypeOf({ manifests: [] }, OCI_INDEX), undefined)
})

test('a referrer has its size, its type and its annotations', () => {
  const bytes = Buffer.from(JSON.stringify({ config, annotations }))
  const digest = digestOf(bytes)
  assert.deepEqual(describeReferrer(digest, OCI_MANIFEST, bytes), {
    mediaType: OCI_MANIFEST,
    digest,
    size: bytes.length,
    artifactType: config.mediaType,
    annotations,
  })
})
