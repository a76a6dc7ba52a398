import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { BundleList } from '../../../src/export/targets/bundle-list.ts'
import { OciArchive } from '../../../src/export/targets/oci-archive.ts'
import { OciFolder } from '../../../src/export/targets/oci-folder.ts'
import { buildImage } from '../../../testkit/registries/image.ts'
import { exportTo, filesIn, layoutReader, temporaryFolder, withSha512 } from '../fixture.ts'

const old = buildImage('old')
const young = withSha512(buildImage('young'))

test('a bundle leaves out the blobs that an earlier one has, and lists everything', async (t) => {
  const folder = await temporaryFolder(t)
  const reader = await layoutReader(t, { 'acme/old:v1': old, 'acme/young:v1': young })
  const first = await BundleList.open([])
  await exportTo(await OciFolder.open(join(folder, 'first'), first), reader, ['acme/old:v1'])
  const list = join(folder, 'first/leat-bundle.json')
  assert.deepEqual(await readFile(list), first.bytes())

  const second = await BundleList.open([list])
  const names = ['acme/old:v1', 'acme/young:v1']
  await exportTo(await OciFolder.open(join(folder, 'second'), second), reader, names)
  const blobs = (await filesIn(join(folder, 'second/blobs'))).map((name) => name.replace('/', ':'))
  const included = [old.manifest, young.manifest, ...young.blobs].map(({ digest }) => digest)
  assert.deepEqual(blobs, included.sort())
  const { leatBundle, images, contents } = JSON.parse(second.bytes().toString())
  assert.equal(leatBundle, 1)
  assert.deepEqual(images, [
    { name: 'docker.io/acme/old:v1', digest: old.manifest.digest },
    { name: 'docker.io/acme/young:v1', digest: young.manifest.digest },
  ])
  const expected = [old, young].flatMap(({ manifest, blobs }) =>
    [manifest, ...blobs].map(({ digest, bytes }) => ({
      ...{ digest, size: bytes.length },
      included: included.includes(digest),
    })),
  )
  assert.deepEqual(contents, expected)
})

test('a bundle that an earlier export has begun is continued, with its list', async (t) => {
  const folder = await temporaryFolder(t)
  const reader = await layoutReader(t, { 'acme/old:v1': old, 'acme/young:v1': young })
  for (const open of [
    (bundle: BundleList) => OciFolder.open(join(folder, 'layout-of-bundle'), bundle),
    (bundle: BundleList) => OciArchive.open(join(folder, 'bundle.tar'), bundle),
  ]) {
    await exportTo(await open(await BundleList.open([])), reader, ['acme/old:v1'])
    const list = await BundleList.open([])
    await exportTo(await open(list), reader, ['acme/young:v1'])
    const { images, contents } = JSON.parse(list.bytes().toString())
    assert.equal(images.length, 2)
    assert.equal(contents.length, 10)
  }
})

test('what is no list of a bundle is refused', async (t) => {
  const folder = await temporaryFolder(t)
  const [text, newer] = [join(folder, 'text.json'), join(folder, 'newer.json')]
  await writeFile(text, '[]')
  await writeFile(newer, '{"leatBundle":2,"images":[],"contents":[]}')
  await assert.rejects(
    BundleList.open([text]),
    /text\.json is no list of a bundle; give the file that --list has written/,
  )
  await assert.rejects(
    BundleList.open([newer]),
    /newer\.json is the list of a bundle of version 2; this agent reads version 1/,
  )
  await assert.rejects(
    BundleList.open([join(folder, 'none.json')]),
    /none\.json cannot be read: it does not exist; give --since/,
  )
})
