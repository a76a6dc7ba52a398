import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { Level } from 'level'
import { Layout } from '../../../src/store/files/layout.ts'
import { keep, stored } from '../../conformance/blob-steps.ts'
import { folder, opened, openStore, published } from '../folder.ts'
import { filled } from '../left-files.ts'

it('a lost index is rebuilt from the blobs', async (t) => {
  const path = await folder(t)
  const blobs = [randomBytes(10), randomBytes(100_000)]
  const digests = await filled(path, ...blobs)
  await rm(new Layout(path).index, { recursive: true })
  const store = await opened(t, { path })
  await store.recovered
  for (const [at, digest] of digests.entries()) assert.deepEqual(await stored(store.blobs, digest), blobs[at])
})

it('an index without CURRENT is repaired, with pins and tags', async (t) => {
  const path = await folder(t)
  const [digest] = await filled(path, randomBytes(10))
  assert.ok(digest)
  const repository = { registry: 'docker.io', name: 'library/alpine' }
  const first = await openStore({ path })
  await first.pin(digest)
  await first.catalog.rememberTag(repository, 'latest', { digest, mediaType: undefined, checkedAt: 1 })
  await first.close()
  await rm(join(new Layout(path).index, 'CURRENT'))
  const mended = published(t, 'store.repaired')
  const second = await opened(t, { path })
  assert.deepEqual(
    mended.map(({ how }) => how),
    ['repaired'],
  )
  assert.ok(await second.isPinned(digest))
  assert.equal((await second.catalog.tag(repository, 'latest'))?.digest, digest)
})

for (const victim of [/^CURRENT$/, /^MANIFEST-/, /\.log$/, /\.ldb$/]) {
  it(`an index in which ${victim} is overwritten is repaired or rebuilt, and no blob is lost`, async (t) => {
    const path = await folder(t)
    const blobs = [randomBytes(10), randomBytes(20), randomBytes(100_000)]
    const digests = await filled(path, ...blobs)
    const { index } = new Layout(path)
    // Opening the index once more turns the log into tables.
    const database = new Level(index)
    await database.open()
    await database.close()
    const names = (await readdir(index)).filter((name) => victim.test(name))
    assert.ok(names.length > 0)
    for (const name of names) await writeFile(join(index, name), randomBytes(600))
    const mended = published(t, 'store.repaired')
    const store = await opened(t, { path })
    await store.recovered
    for (const [at, digest] of digests.entries())
      assert.deepEqual(await stored(store.blobs, digest), blobs[at])
    assert.equal(store.usage().blobs, 3)
    if (!victim.test('1.log')) assert.equal(mended.length, 1)
  })
}

it('a second store on the same folder is refused, and the first is not disturbed', async (t) => {
  const path = await folder(t)
  const store = await opened(t, { path })
  const digest = await keep(store.blobs, Buffer.from('x'))
  await assert.rejects(openStore({ path }), {
    code: 'disk',
    message: `${path} is in use by another agent: stop that one, or give this one another folder for its data`,
  })
  assert.deepEqual(await stored(store.blobs, digest), Buffer.from('x'))
})
