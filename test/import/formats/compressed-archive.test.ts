import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import * as zlib from 'node:zlib'
import { gunzipSync, gzipSync } from 'node:zlib'
import { compressionOf, decompress } from '../../../src/import/formats/compressed-archive.ts'
import { formatHeader } from '../../../src/lib/tar/header.ts'
import { buildIndex } from '../../../testkit/registries/image.ts'
import { layoutFiles, partsOf, writeArchive } from '../../../testkit/registries/image-folders.ts'
import { temporaryFolder } from '../../sources/files/files.ts'
import { startLab } from '../import-lab.ts'

const index = buildIndex('gzipped')
const signal = new AbortController().signal
const END = Buffer.alloc(1024)

interface Lab {
  readonly path: string
  /** Where copies are written. */
  readonly folder: string
  decompress(bytes: Uint8Array, signal?: AbortSignal): ReturnType<typeof decompress>
}

async function startFolder(t: TestContext): Promise<Lab> {
  const parent = await temporaryFolder(t)
  const path = join(parent, 'saved.tar.gz')
  const folder = join(parent, 'copies')
  await mkdir(folder)
  return {
    path,
    folder,
    async decompress(bytes, given = signal) {
      await writeFile(path, bytes)
      return decompress(path, 'gzip', { folder, signal: given })
    },
  }
}

test('a gzipped archive of a layout is imported like one that is not, and no copy is left', async (t) => {
  const lab = await startLab(t)
  const plain = join(lab.folder, 'plain.tar')
  await writeArchive(plain, layoutFiles({ 'acme/app:v1': index }))
  const rest = join(lab.folder, 'images.tar.gz')
  await writeFile(rest, gzipSync(await readFile(plain)))
  const { images, done } = await lab.run({ transport: 'oci-archive', rest })
  assert.deepEqual(
    images.map(({ image, error }) => [image, error]),
    [['docker.io/acme/app:v1', null]],
  )
  assert.equal(done.failed, 0)
  for (const { digest } of partsOf(index)) assert.ok(await lab.isStored(digest))
})

test('an archive of zstd is imported where Node can read it, and refused with a sentence elsewhere', async (t) => {
  const lab = await startLab(t)
  const plain = join(lab.folder, 'plain.tar')
  await writeArchive(plain, layoutFiles({ 'acme/app:v1': index }))
  const rest = join(lab.folder, 'images.tar.zst')
  const compress: unknown = Reflect.get(zlib, 'zstdCompressSync')
  if (typeof compress === 'function') {
    await writeFile(rest, (compress as (bytes: Buffer) => Buffer)(await readFile(plain)))
    const { done } = await lab.run({ transport: 'oci-archive', rest })
    assert.deepEqual([done.failed, done.images], [0, 1])
    for (const { digest } of partsOf(index)) assert.ok(await lab.isStored(digest))
    return
  }
  await writeFile(rest, Buffer.from('28b52ffd00000000', 'hex'))
  await assert.rejects(lab.run({ transport: 'oci-archive', rest }), {
    code: 'unsupported',
    message: /images\.tar\.zst is compressed with zstd, which needs Node 22\.15 or newer/,
  })
})

test('the copy is the archive, and is removed', async (t) => {
  const { folder, path, ...lab } = await startFolder(t)
  const plain = join(folder, '..', 'plain.tar')
  await writeArchive(plain, layoutFiles({ v1: index }))
  const bytes = await readFile(plain)
  const copy = await lab.decompress(gzipSync(bytes))
  assert.equal(await compressionOf(path), 'gzip')
  assert.equal(await compressionOf(copy.path), undefined)
  assert.ok(bytes.equals(await readFile(copy.path)))
  await copy.remove()
  assert.deepEqual(await readdir(folder), [])
})

test('an archive that declares more than it can hold, goes on after its end, or is cut short is refused', async (t) => {
  const { folder, path, ...lab } = await startFolder(t)
  const small = Buffer.concat([Buffer.from(formatHeader('a', '0', 3)), Buffer.from('abc'), Buffer.alloc(509)])
  const header = (type: string, size: number): Buffer => Buffer.from(formatHeader('a', type, size))
  const cases: readonly (readonly [Buffer, RegExp])[] = [
    [header('0', 8 ** 11 - 1), /its files have 8589934591 bytes and more, but \d+ are what it can hold/],
    [Buffer.concat([small, END, Buffer.alloc(4_000_000)]), /it goes on after its last file/],
    // Each extended header has 64 KiB, and no file follows.
    [
      Buffer.concat(
        Array.from({ length: 40 }, () => Buffer.concat([header('L', 65_536), Buffer.alloc(65_536, 'a')])),
      ),
      /it goes on after its last file/,
    ],
    [header('L', 10_000_000), /a header has 10000000 bytes/],
    [small, /the archive is cut short/],
    [Buffer.from('this is no tar'), /cut short/],
  ]
  for (const [bytes, expected] of cases) {
    await assert.rejects(lab.decompress(gzipSync(bytes)), (error: Error) => {
      assert.match(error.message, expected)
      assert.ok(error.message.startsWith(path), error.message)
      return true
    })
    assert.deepEqual(await readdir(folder), [], 'the copy is removed')
  }
  const whole = gzipSync(Buffer.concat([small, END]))
  await assert.rejects(lab.decompress(whole.subarray(0, whole.length - 12)), /cannot be decompressed/)
  assert.equal(gunzipSync(whole).length, small.length + END.length)
  await (await lab.decompress(whole)).remove()
})

test('an import that is stopped leaves no copy, and a folder that cannot be written to is named', async (t) => {
  const { folder, path, ...lab } = await startFolder(t)
  const stopped = AbortSignal.abort(new Error('enough'))
  const bytes = gzipSync(Buffer.concat([Buffer.from(formatHeader('a', '0', 0)), END]))
  await assert.rejects(lab.decompress(bytes, stopped), { message: 'enough' })
  assert.deepEqual(await readdir(folder), [])
  await assert.rejects(
    decompress(path, 'gzip', { folder: join(folder, 'none'), signal }),
    /Set TMPDIR to another folder/,
  )
})
