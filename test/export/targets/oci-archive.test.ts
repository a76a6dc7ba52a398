import assert from 'node:assert/strict'
import { appendFile, readFile, rename, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { OciArchive } from '../../../src/export/targets/oci-archive.ts'
import { inputFromChunks } from '../../../src/lib/tar/inputs.ts'
import { TarReader } from '../../../src/lib/tar/tar-reader.ts'
import { buildImage, buildIndex } from '../../../testkit/registries/image.ts'
import { layoutFiles, partsOf, writeArchive } from '../../../testkit/registries/image-folders.ts'
import { exportTo, filesIn, layoutReader, temporaryFolder, withSha512 } from '../fixture.ts'

const app = buildImage('app')

/** The files of an archive. */
async function entriesOf(path: string): Promise<ReadonlyMap<string, Buffer>> {
  const bytes = await readFile(path)
  const reader = new TarReader(
    inputFromChunks(
      (async function* () {
        yield bytes
      })(),
    ),
  )
  const files = new Map<string, Buffer>()
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    assert.ok(!files.has(entry.path), `${entry.path} is in the archive twice`)
    files.set(entry.path, Buffer.from(await reader.readAll(bytes.length)))
  }
  return files
}

test('an archive is a whole layout, and equal images make equal archives', async (t) => {
  const folder = await temporaryFolder(t)
  const strong = withSha512(buildImage('strong'))
  const list = buildIndex('list')
  const reader = await layoutReader(t, { 'acme/list:v1': list, 'acme/strong:v1': strong })
  for (const name of ['a.tar', 'sub/b.tar']) {
    await exportTo(await OciArchive.open(join(folder, name)), reader, ['acme/list:v1', 'acme/strong:v1'])
  }
  const files = await entriesOf(join(folder, 'a.tar'))
  assert.ok(files.has('oci-layout') && files.has('index.json'))
  for (const { digest, bytes } of [...partsOf(list), ...partsOf(strong)]) {
    assert.deepEqual(files.get(`blobs/${digest.replace(':', '/')}`), bytes)
  }
  assert.deepEqual(await readFile(join(folder, 'a.tar')), await readFile(join(folder, 'sub/b.tar')))
})

test('images are added to an archive that another program has written', async (t) => {
  const path = join(await temporaryFolder(t), 'images.tar')
  const theirs = buildImage('theirs')
  await writeArchive(path, layoutFiles({ 'docker.io/acme/theirs:v1': theirs }))
  await exportTo(await OciArchive.open(path), await layoutReader(t, { 'acme/app:v1': app }), ['acme/app:v1'])
  const files = await entriesOf(path)
  for (const { digest, bytes } of [...partsOf(theirs), ...partsOf(app)]) {
    assert.deepEqual(files.get(`blobs/${digest.replace(':', '/')}`), bytes)
  }
  assert.equal(JSON.parse(files.get('index.json')?.toString() ?? '').manifests.length, 2)
})

test('what a killed export has written whole is used, and what is damaged or cut short is written again', async (t) => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'images.tar')
  const partial = join(folder, '.images.tar.leat-partial')
  const reader = await layoutReader(t, { 'acme/app:v1': app }, { folder })
  await exportTo(await OciArchive.open(path), reader, ['acme/app:v1'])
  const whole = await readFile(path)
  const written = async () => {
    const [line] = await exportTo(await OciArchive.open(path), reader, ['acme/app:v1'])
    assert.ok(line?.is === 'image')
    assert.deepEqual((await readFile(path)).length, whole.length)
    await entriesOf(path)
    return line.writtenBytes
  }
  const all = [app.manifest, ...app.blobs].reduce((sum, { bytes }) => sum + bytes.length, 0)
  const [config] = app.blobs
  const configBytes = config?.bytes.length ?? 0

  await rename(path, partial)
  await truncate(partial, 100_000)
  assert.equal(await written(), all - configBytes, 'the config is whole, and the first layer is cut short')

  await rename(path, partial)
  const damaged = Buffer.from(whole)
  damaged[600] = (damaged[600] ?? 0) ^ 1
  await writeFile(partial, damaged)
  assert.equal(await written(), all, 'the first blob is damaged')

  await rename(path, partial)
  await writeFile(partial, 'no archive at all')
  assert.equal(await written(), all)
  assert.deepEqual(
    (await filesIn(folder)).filter((name) => !name.startsWith('layout/')),
    ['images.tar'],
  )
})

test('an archive that is damaged, cut short or something else is refused and stays as it is', async (t) => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'images.tar')
  await writeFile(path, 'text')
  await assert.rejects(
    OciArchive.open(path),
    /images\.tar is no whole tar archive: .*; remove it, or write elsewhere/,
  )
  assert.equal(await readFile(path, 'utf8'), 'text')
  await writeArchive(path, new Map([['other.txt', Buffer.from('text')]]))
  await assert.rejects(OciArchive.open(path), /images\.tar is no OCI layout/)
  await writeArchive(path, layoutFiles({ 'acme/app:v1': app }))
  await truncate(path, (await stat(path)).size - 10_000)
  await assert.rejects(OciArchive.open(path), /is no whole tar archive: the archive is cut short/)
  await writeArchive(path, layoutFiles({ 'acme/app:v1': app }))
  const damaged = await readFile(path)
  damaged[2000] = (damaged[2000] ?? 0) ^ 1
  await writeFile(path, damaged)
  await appendFile(path, '')
  await assert.rejects(OciArchive.open(path), /sha256:[0-9a-f]{64} is damaged where it was read/)
  assert.deepEqual(await readFile(path), damaged)
})
