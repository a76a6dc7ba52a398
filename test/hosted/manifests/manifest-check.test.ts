import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkManifest } from '../../../src/hosted/manifests/manifest-check.ts'
import { DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'

const config = { digest: digestOf(Buffer.from('config')), size: 2, mediaType: 'application/json' }
const layer = { digest: digestOf(Buffer.from('layer')), size: 5, mediaType: 'application/x-tar' }

function check(manifest: unknown, mediaType = OCI_MANIFEST) {
  const bytes = Buffer.from(typeof manifest === 'string' ? manifest : JSON.stringify(manifest))
  return checkManifest({ bytes, mediaType, digest: undefined, algorithm: 'sha256' })
}

function problemOf(manifest: unknown, mediaType?: string): string {
  const checked = check(manifest, mediaType)
  assert.ok('refusal' in checked && checked.refusal.kind === 'invalid', JSON.stringify(checked))
  return checked.refusal.problem
}

test('an image needs its config and its layers, except layers that may not be distributed', () => {
  const layers = [
    layer,
    { ...layer, digest: digestOf(Buffer.from('1')), urls: ['https://example.com/layer'] },
    {
      ...layer,
      digest: digestOf(Buffer.from('2')),
      mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    },
    {
      ...layer,
      digest: digestOf(Buffer.from('3')),
      mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
    },
  ]
  const checked = check({ schemaVersion: 2, config, layers })
  assert.ok('manifest' in checked)
  assert.deepEqual(checked.manifest.needed, [config.digest, layer.digest])
  assert.deepEqual(
    checked.manifest.references,
    [config, ...layers].map(({ digest }) => digest),
  )
})

test('the media type is the one of the manifest, or else of the request', () => {
  const types = [
    [{ config, layers: [] }, '', OCI_MANIFEST],
    [{ config, layers: [] }, `${DOCKER_MANIFEST}; charset=utf-8`, DOCKER_MANIFEST],
    [{ mediaType: DOCKER_MANIFEST, config, layers: [] }, 'application/octet-stream', DOCKER_MANIFEST],
    [{ manifests: [] }, '', OCI_INDEX],
  ] as const
  for (const [manifest, declared, expected] of types) {
    const checked = check({ schemaVersion: 2, ...manifest }, declared)
    assert.ok('manifest' in checked)
    assert.equal(checked.manifest.mediaType, expected)
  }
})

test('what is no manifest, or an ambiguous one, is refused with a reason', () => {
  const malformed = `sha256:${'x'.repeat(64)}`
  const table = [
    ['[]', OCI_MANIFEST, /not a JSON object/],
    ['{', OCI_MANIFEST, /not a JSON object/],
    [{ schemaVersion: 1, fsLayers: [] }, 'application/vnd.docker.distribution.manifest.v1+json', /schema 1/],
    [{ mediaType: OCI_INDEX, manifests: [] }, OCI_MANIFEST, /was pushed as/],
    [{ config, layers: [], manifests: [layer] }, OCI_MANIFEST, /cannot list manifests/],
    [{ config, manifests: [layer] }, OCI_INDEX, /cannot have a config/],
    [{ layers: [layer] }, OCI_MANIFEST, /no config/],
    [{ config, layers: [{ ...layer, digest: 'md5:1' }] }, OCI_MANIFEST, /md5:1/],
    [{ config: { ...config, digest: malformed }, layers: [] }, OCI_MANIFEST, /malformed, or neither/],
    [{ config, layers: [], subject: { ...layer, digest: 'x' } }, OCI_MANIFEST, /digest x/],
  ] as const
  for (const [manifest, mediaType, problem] of table) assert.match(problemOf(manifest, mediaType), problem)
})
