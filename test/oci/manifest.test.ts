import assert from 'node:assert/strict'
import { test } from 'node:test'
import { childrenOf, parseManifest } from '../../src/oci/manifest.ts'
import { DOCKER_LIST, OCI_INDEX, OCI_MANIFEST } from '../../src/oci/media-types.ts'
import { fc } from '../../testkit/property-runs.ts'

const digest = (letter: string) => `sha256:${letter.repeat(64)}`
const points = (letter: string, more: object = {}) => ({
  digest: digest(letter),
  size: 3,
  mediaType: 'x/y',
  ...more,
})

function manifest(json: unknown, declaredType?: string) {
  const found = parseManifest(Buffer.from(JSON.stringify(json)), declaredType)
  assert.ok(found.ok, found.ok ? '' : found.problem)
  return found.value
}

function problem(text: string, declaredType?: string): string {
  const found = parseManifest(Buffer.from(text), declaredType)
  assert.ok(!found.ok)
  return found.problem
}

test('an image needs its config and its layers, each once', () => {
  const image = manifest({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: points('a'),
    layers: [points('b'), points('c'), points('b')],
    subject: points('d'),
    artifactType: 'application/sbom',
    annotations: { k: 'v' },
    futureField: { nested: true },
  })
  assert.equal(image.kind, 'image')
  assert.deepEqual(
    childrenOf(image).map((child) => child.digest),
    [digest('a'), digest('b'), digest('c')],
  )
  assert.equal(image.subject?.digest, digest('d'))
  assert.equal(image.artifactType, 'application/sbom')
  assert.deepEqual(image.annotations, { k: 'v' })
})

test('an index needs its manifests, also when they are indexes', () => {
  const index = manifest({
    schemaVersion: 2,
    manifests: [
      points('a', { platform: { os: 'linux', architecture: 'arm', variant: 'v7', 'os.version': '1' } }),
      points('b', { mediaType: OCI_INDEX }),
    ],
  })
  assert.equal(index.kind, 'index')
  assert.deepEqual(
    index.manifests.map((child) => child.digest),
    [digest('a'), digest('b')],
  )
  assert.deepEqual(index.manifests[0]?.platform, { os: 'linux', architecture: 'arm', variant: 'v7' })
  assert.equal(index.manifests[1]?.mediaType, OCI_INDEX)
})

test('the media type decides when a manifest could be an image and an index', () => {
  const both = { schemaVersion: 2, layers: [points('a')], manifests: [points('b')] }
  assert.equal(manifest(both, `${DOCKER_LIST}; charset=utf-8`).kind, 'index')
  assert.equal(manifest(both, OCI_MANIFEST).kind, 'image')
  assert.equal(manifest({ ...both, mediaType: OCI_MANIFEST }, DOCKER_LIST).kind, 'image')
  assert.equal(childrenOf(manifest(both)).length, 2)
})

test('an artifact manifest has blobs', () => {
  assert.deepEqual(
    childrenOf(manifest({ blobs: [points('a')] })).map((child) => child.digest),
    [digest('a')],
  )
})

test('a layer with URLs is marked as foreign', () => {
  const image = manifest({ layers: [points('a', { urls: ['https://example.com/x'] }), points('b')] })
  assert.deepEqual(
    image.layers.map((layer) => layer.isForeign),
    [true, false],
  )
})

test('a digest of an unknown algorithm is left out, and the others stay', () => {
  const image = manifest({ config: points('a'), layers: [{ digest: 'blake3:00', size: 1 }, points('b')] })
  assert.deepEqual(
    childrenOf(image).map((child) => child.digest),
    [digest('a'), digest('b')],
  )
})

test('a schema 1 manifest is recognized and refused', () => {
  assert.match(problem('{"schemaVersion":1,"fsLayers":[],"history":[]}'), /schema 1/)
  assert.match(problem('{}', 'application/vnd.docker.distribution.manifest.v1+prettyjws'), /schema 1/)
})

test('a text that is not a manifest is refused with the path of the invalid field', () => {
  assert.match(problem('not json'), /not a JSON object/)
  assert.match(problem('[1]'), /not a JSON object/)
  assert.match(problem('{"layers":[{"digest":"sha256:x","size":-1}]}'), /layers\.0\.size/)
  assert.match(problem('{"layers":{}}'), /layers/)
})

test('parsing never throws, whatever the JSON', () => {
  fc.assert(fc.property(fc.json(), (text) => void parseManifest(Buffer.from(text))))
})

test('what is wrong with a manifest is said on one short line, whatever it says', () => {
  const text = `\u001b[2J${'x'.repeat(10_000)}`
  for (const json of [{ schemaVersion: text }, { annotations: { [text]: 1 } }]) {
    const manifest = parseManifest(Buffer.from(JSON.stringify(json)))
    assert.ok(!manifest.ok)
    assert.match(manifest.problem, /^\P{Cc}{10,500}$/u)
  }
})
