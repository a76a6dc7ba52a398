import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ACCEPT_MANIFESTS,
  DOCKER_LIST,
  DOCKER_MANIFEST,
  essence,
  isIndexType,
  isManifestType,
  isMediaType,
  isSchema1Type,
  OCI_ARTIFACT,
  OCI_INDEX,
  OCI_MANIFEST,
} from '../../src/oci/media-types.ts'

test('manifests, indexes and schema 1 manifests are distinguished', () => {
  const schema1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
  const table: [type: string, manifest: boolean, index: boolean, old: boolean][] = [
    [OCI_MANIFEST, true, false, false],
    [DOCKER_MANIFEST, true, false, false],
    [OCI_ARTIFACT, true, false, false],
    [OCI_INDEX, true, true, false],
    [DOCKER_LIST, true, true, false],
    [schema1, false, false, true],
    ['application/json', false, false, false],
  ]
  for (const [type, manifest, index, old] of table) {
    assert.deepEqual(
      [isManifestType(type), isIndexType(type), isSchema1Type(type)],
      [manifest, index, old],
      type,
    )
    assert.equal(ACCEPT_MANIFESTS.includes(type), manifest, type)
  }
})

test('a text with a character that could end a header is not a media type', () => {
  for (const text of [OCI_INDEX, 'a/b', 'text/plain; charset=utf-8']) assert.ok(isMediaType(text), text)
  for (const text of ['', 'a', 'a/', '/b', 'a/b\r\nX: y', 'a/b\n', 'a b/c', 'a/b;\0', 'ä/b'])
    assert.ok(!isMediaType(text), text)
})

test('parameters and case do not change a media type', () => {
  assert.equal(essence('Application/JSON; charset=utf-8'), 'application/json')
  assert.equal(essence(OCI_INDEX), OCI_INDEX)
})
