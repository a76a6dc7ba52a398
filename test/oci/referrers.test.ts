import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf } from '../../src/oci/digest.ts'
import { addReferrers, fallbackTagOf, filterReferrers } from '../../src/oci/referrers.ts'

function filtered(json: unknown, artifactType: string): unknown {
  const found = filterReferrers(Buffer.from(JSON.stringify(json)), artifactType)
  assert.ok(found.ok)
  return JSON.parse(found.value.toString())
}

test('only referrers of the requested artifact type remain, with all of their fields', () => {
  const sbom = {
    digest: 'sha256:x',
    size: 1,
    artifactType: 'application/sbom',
    annotations: { a: 'b' },
    later: [1],
  }
  const index = {
    schemaVersion: 2,
    mediaType: 'm',
    manifests: [sbom, { artifactType: 'other' }, {}],
    extra: 1,
  }
  assert.deepEqual(filtered(index, 'application/sbom'), { ...index, manifests: [sbom] })
  assert.deepEqual(filtered(index, 'none'), { ...index, manifests: [] })
  assert.deepEqual(filtered({ schemaVersion: 2 }, 'none'), { schemaVersion: 2, manifests: [] })
})

test('a text that is not an index is refused, and not treated as an empty index', () => {
  for (const text of ['', '[]', '{"manifests":{}}', '{"manifests":[1]}']) {
    assert.ok(!filterReferrers(Buffer.from(text), 'x').ok, text)
  }
})

test('descriptors are added to a list unless it has their digests, and keep all of their fields', () => {
  const [one, two] = ['sha256:1', 'sha256:2'].map((digest) => ({ digest, size: 1, later: [digest] }))
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [one] }))
  const added = (list: Uint8Array) =>
    JSON.parse(addReferrers(list, [{ digest: 'sha256:1' }, two ?? { digest: '' }]).toString())
  assert.deepEqual(added(index).manifests, [one, two])
  assert.deepEqual(added(new Uint8Array()).manifests, [{ digest: 'sha256:1' }, two])
  assert.equal(added(index).mediaType, 'application/vnd.oci.image.index.v1+json')
})

test('the fallback tag of a long digest is one that registries take', () => {
  const [short, long] = (['sha256', 'sha512'] as const).map((name) => digestOf(Buffer.from('subject'), name))
  assert.ok(short && long)
  assert.equal(fallbackTagOf(short), short.replace(':', '-'))
  assert.equal(fallbackTagOf(long), long.slice(0, 'sha512:'.length + 64).replace(':', '-'))
})
