import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { imagePath, SkopeoFolder } from '../../../src/export/targets/skopeo-folder.ts'
import { buildImage, buildIndex } from '../../../testkit/registries/image.ts'
import { skopeoFiles, writeFiles } from '../../../testkit/registries/image-folders.ts'
import {
  exportTo,
  filesIn,
  indexWithSha512,
  layoutReader,
  reference,
  referrerOf,
  temporaryFolder,
  withSha512,
} from '../fixture.ts'

const app = buildImage('app')

test('one image is written as skopeo writes it, and replaces the one before', async (t) => {
  const path = join(await temporaryFolder(t), 'image')
  await writeFiles(path, skopeoFiles(buildImage('before')))
  await exportTo(
    await SkopeoFolder.open(path, { isSingle: true }),
    await layoutReader(t, { 'acme/app:v1': app }),
    ['acme/app:v1'],
  )
  const expected = skopeoFiles(app)
  assert.deepEqual(await filesIn(path), [...expected.keys()].sort())
  for (const [name, bytes] of expected) assert.deepEqual(await readFile(join(path, name)), bytes)
})

test('several images are written below the folder, and what they share is one file', async (t) => {
  const path = join(await temporaryFolder(t), 'images')
  const list = buildIndex('list')
  const reader = await layoutReader(t, {
    'acme/app:v1': app,
    'acme/app:v2': app,
    'ghcr.io/acme/deep/list:v1': list,
    'busybox:1.36': buildImage('busybox'),
  })
  const names = ['acme/app:v1', 'acme/app:v2', 'ghcr.io/acme/deep/list:v1', 'busybox:1.36']
  await exportTo(await SkopeoFolder.open(path, { isSingle: false }), reader, names)
  const files = await filesIn(path)
  for (const folder of ['acme/app/v1', 'acme/app/v2', 'ghcr.io/acme/deep/list/v1', 'busybox/1.36']) {
    assert.ok(files.includes(`${folder}/manifest.json`) && files.includes(`${folder}/version`), folder)
  }
  const hex = app.blobs[0]?.digest.slice(7) ?? ''
  const [one, two] = await Promise.all(['v1', 'v2'].map((tag) => stat(join(path, 'acme/app', tag, hex))))
  assert.equal(one?.ino, two?.ino)
  for (const { manifest } of list.images) {
    const name = `ghcr.io/acme/deep/list/v1/${manifest.digest.slice(7)}.manifest.json`
    assert.deepEqual(await readFile(join(path, name)), manifest.bytes)
  }
})

test('contents with SHA-512 digests are found by old and new versions of skopeo', async (t) => {
  const path = join(await temporaryFolder(t), 'image')
  const index = indexWithSha512([withSha512(buildImage('one'))])
  const reader = await layoutReader(t, { 'acme/list:v1': index })
  await exportTo(await SkopeoFolder.open(path, { isSingle: true }), reader, ['acme/list:v1'])
  const files = await filesIn(path)
  for (const { digest } of index.images[0]?.blobs ?? []) {
    assert.ok(files.includes(digest.slice(7)) && files.includes(`sha512-${digest.slice(7)}`))
  }
  const hex = index.images[0]?.manifest.digest.slice(7)
  assert.ok(files.includes(`${hex}.manifest.json`) && files.includes(`sha512-${hex}.manifest.json`))
})

test('a folder with other files, and referrers, are refused', async (t) => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'mine.txt'), 'mine')
  const signature = referrerOf(app.manifest)
  const reader = await layoutReader(
    t,
    { 'acme/app:v1': app },
    { more: [signature.manifest, ...signature.blobs] },
  )
  await assert.rejects(
    exportTo(await SkopeoFolder.open(folder, { isSingle: true }), reader, ['acme/app:v1']),
    /holds "mine\.txt", which is no part of an image that skopeo writes; write to an empty folder/,
  )
  await assert.rejects(
    exportTo(await SkopeoFolder.open(join(folder, 'new'), { isSingle: true }), reader, ['acme/app:v1'], {
      referrers: true,
    }),
    /it has referrers, for which dir: has no place; leave out --referrers, or export to oci:/,
  )
  assert.deepEqual(await filesIn(folder), ['mine.txt'])
})

test('the folder of an image is its name and tag, with the registry unless it is Docker Hub', () => {
  const digest = `sha256:${'0'.repeat(64)}`
  const table = [
    ['alpine:3.20', 'alpine/3.20'],
    ['acme/app:v1', 'acme/app/v1'],
    ['ghcr.io/acme/app:v1', 'ghcr.io/acme/app/v1'],
    [`acme/app@${digest}`, `acme/app/${digest.replace(':', '-')}`],
  ] as const
  for (const [name, path] of table) assert.equal(imagePath(reference(name)).join('/'), path)
})
