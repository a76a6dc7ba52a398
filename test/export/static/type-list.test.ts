import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StaticTree } from '../../../src/export/static/static-tree.ts'
import { typeList } from '../../../src/export/static/type-list.ts'
import { buildImage, buildIndex } from '../../../testkit/registries/image.ts'
import { exportTo, filesIn, layoutReader, temporaryFolder } from '../fixture.ts'

test('the list has every file of the tree with its type, and what refers to others after them', async (t) => {
  const path = await temporaryFolder(t)
  const list = buildIndex('list')
  const reader = await layoutReader(t, { 'acme/app:v1': buildImage('app'), 'acme/deep/list:v1': list })
  const tree = await StaticTree.open(path, { namePrefix: '' })
  await exportTo(tree, reader, ['acme/app:v1', 'acme/deep/list:v1'])
  const lines = (await typeList(path)).split('\n')
  assert.equal(lines.pop(), '', 'the last line ends as the others do')
  const types = new Map(lines.map((line) => line.split('\t') as [string, string]))
  assert.deepEqual([...types.keys()].sort(), await filesIn(path))
  const at = 'v2/acme/deep/list'
  assert.equal(types.get(`${at}/manifests/v1`), list.manifest.mediaType)
  assert.equal(types.get(`${at}/manifests/${list.manifest.digest}`), list.manifest.mediaType)
  assert.equal(types.get(`${at}/tags/list`), 'application/json')
  const [image] = list.images
  assert.equal(types.get(`${at}/manifests/${image?.manifest.digest}`), image?.manifest.mediaType)
  assert.equal(types.get(`${at}/blobs/${image?.blobs[0]?.digest}`), 'application/octet-stream')
  const paths = [...types.keys()]
  const firstName = paths.findIndex((one) => /\/(?:manifests\/v1|tags\/list)$/.test(one))
  const lastContent = paths.findLastIndex((one) => /\/(?:blobs|manifests)\/sha256:/.test(one))
  assert.ok(lastContent < firstName, 'a name comes after all contents')
})
