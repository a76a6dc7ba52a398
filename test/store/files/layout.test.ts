import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { digestOfPartial, partialName, prepareLayout } from '../../../src/store/files/layout.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { folder, openStore } from '../folder.ts'

it('a missing folder is made, readable only for its owner', async (t) => {
  const path = join(await folder(t), 'a', 'b')
  const layout = await prepareLayout(path)
  assert.equal((await stat(path)).mode & 0o777, 0o700)
  assert.equal((await stat(layout.blobs)).mode & 0o007, 0)
  assert.deepEqual(JSON.parse(await readFile(join(path, 'format'), 'utf8')), { version: 1 })
  await prepareLayout(path)
})

it('where no folder can be made, the start fails with the reason', { timeout: 60_000 }, async (t) => {
  if (process.platform !== 'linux') return t.skip('needs /proc')
  await assert.rejects(openStore({ path: '/proc/leat/data' }), {
    code: 'disk',
    message: /cannot keep data in \/proc\/leat\/data: ENOENT/,
  })
  const file = join(await folder(t), 'file')
  await writeFile(file, '')
  await assert.rejects(openStore({ path: file }), { code: 'disk', message: /cannot keep data in .*file: / })
})

it('a fresh volume is accepted, with the files of its filesystem and of an interrupted start', async (t) => {
  const path = await folder(t)
  await mkdir(join(path, 'lost+found'))
  await writeFile(join(path, 'format.new'), '{"ver')
  await prepareLayout(path)
  assert.ok((await readdir(path)).includes('lost+found'))
})

it('a folder with unknown files is refused and not changed', async (t) => {
  const path = await folder(t)
  await writeFile(join(path, 'thesis.txt'), 'dear')
  await assert.rejects(prepareLayout(path), { code: 'disk', message: /thesis\.txt.*choose an empty folder/ })
  assert.deepEqual(await readdir(path), ['thesis.txt'])
})

it('a folder of a newer agent is refused and not changed', async (t) => {
  const path = await folder(t)
  await writeFile(join(path, 'format'), '{"version":2}')
  await assert.rejects(prepareLayout(path), {
    code: 'disk',
    message: /newer agent \(format 2, this one knows 1\)/,
  })
  assert.deepEqual(await readdir(path), ['format'])
})

for (const text of ['', '{}', '{"version":"1"}', 'null']) {
  it(`a format file that contains ${JSON.stringify(text)} is refused`, async (t) => {
    const path = await folder(t)
    await writeFile(join(path, 'format'), text)
    await assert.rejects(prepareLayout(path), { code: 'disk', message: /does not say a version/ })
  })
}

it('a symbolic link in place of a folder of the store is refused', async (t) => {
  const path = await folder(t)
  const elsewhere = await folder(t)
  await prepareLayout(path)
  const other = await folder(t)
  await writeFile(join(other, 'format'), '{"version":1}')
  await symlink(elsewhere, join(other, 'blobs'))
  await assert.rejects(prepareLayout(other), { code: 'disk', message: /blobs is not a folder/ })
  assert.deepEqual(await readdir(elsewhere), [])
})

it('a symbolic link to the store folder is followed', async (t) => {
  const path = await folder(t)
  const link = join(await folder(t), 'link')
  await symlink(path, link)
  assert.equal((await prepareLayout(link)).root, (await prepareLayout(path)).root)
})

it('the name of a partial is turned back into its digest', () => {
  for (const algorithm of ['sha256', 'sha512'] as const) {
    const digest = digestOf(Buffer.from('x'), algorithm)
    assert.equal(digestOfPartial(partialName(digest)), digest)
  }
  assert.equal(digestOfPartial('sha256-xyz'), undefined)
  assert.equal(digestOfPartial(`${partialName(digestOf(Buffer.from('x')))}.draft`), undefined)
})
