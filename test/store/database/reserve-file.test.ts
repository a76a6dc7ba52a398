import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { lstat, readdir, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { Layout } from '../../../src/store/files/layout.ts'
import { SmallDisk } from '../../../testkit/small-disk.ts'
import { keep, stored } from '../../conformance/blob-steps.ts'
import { all, folder, opened, openStore, published } from '../folder.ts'

/** The reserve file, which lets the index be opened on a full disk. */

const MIB = 1024 * 1024
const RESERVE_BYTES = 3 * MIB
const { signal } = new AbortController()

async function once(path: string): Promise<void> {
  await (await openStore({ path })).close()
}

it('the reserve file is not a blob, is not evicted, and is unchanged after a restart', async (t) => {
  const path = await folder(t)
  const { reserve } = new Layout(path)
  await once(path)
  const before = await lstat(reserve)
  assert.equal(before.size, RESERVE_BYTES)
  assert.equal(before.mode & 0o777, 0o640)
  const store = await opened(t, { path, maxBytes: { bytes: 1000 } })
  assert.deepEqual(store.usage(), { bytes: 0, blobs: 0 })
  const digest = await keep(store.blobs, randomBytes(1000))
  assert.ok(await stored(store.blobs, digest), 'all of the limit is for blobs')
  assert.equal((await all(store.verify({ signal }))).length, 1)
  await store.gc({ toBytes: 0, signal })
  const after = await lstat(reserve)
  assert.deepEqual([after.ino, after.size, after.mtimeMs], [before.ino, RESERVE_BYTES, before.mtimeMs])
})

it('a reserve file that is missing, too short or a link is made again, and the target of the link stays', async (t) => {
  const path = await folder(t)
  const { reserve } = new Layout(path)
  await once(path)
  await rm(reserve)
  await once(path)
  assert.equal((await lstat(reserve)).size, RESERVE_BYTES)
  await truncate(reserve, 1000)
  await once(path)
  assert.equal((await lstat(reserve)).size, RESERVE_BYTES)
  const other = join(await folder(t), 'other')
  await writeFile(other, 'of another program')
  await rm(reserve)
  await symlink(other, reserve)
  await once(path)
  assert.ok((await lstat(reserve)).isFile())
  assert.equal(await readFile(other, 'utf8'), 'of another program')
})

it('a folder in place of the reserve file stays, and the start succeeds', async (t) => {
  const path = await folder(t)
  const { reserve } = new Layout(path)
  await once(path)
  await rename(new Layout(path).quarantine, join(await folder(t), 'away'))
  await rm(reserve)
  await rename(await folder(t, path), reserve)
  await once(path)
  assert.ok((await lstat(reserve)).isDirectory())
})

it('no reserve file is made on a disk with little room', async (t) => {
  const disk = await SmallDisk.mount(t, 8)
  if (disk === undefined) return
  const path = join(disk.path, 'data')
  await once(path)
  assert.ok(!(await readdir(path)).includes('reserve'))
})

it('the reserve file is removed to open the index on a full disk, and made again when there is room', async (t) => {
  const disk = await SmallDisk.mount(t, 16)
  if (disk === undefined) return
  const path = join(disk.path, 'data')
  const first = await openStore({ path })
  const bytes = randomBytes(100_000)
  const digest = await keep(first.blobs, bytes)
  await first.pin(digest)
  await first.close()
  disk.fill()
  const second = await openStore({ path })
  try {
    assert.ok((await stored(second.blobs, digest))?.equals(bytes))
    assert.ok(await second.isPinned(digest))
  } finally {
    await second.close()
  }
  assert.ok(!(await readdir(path)).includes('reserve'))
  await disk.clear()
  await once(path)
  assert.ok((await readdir(path)).includes('reserve'))
})

it('without a reserve file, a start on a full disk says what is needed, and loses nothing', async (t) => {
  const disk = await SmallDisk.mount(t, 16)
  if (disk === undefined) return
  const path = join(disk.path, 'data')
  const first = await openStore({ path })
  const digest = await keep(first.blobs, randomBytes(100_000))
  await first.pin(digest)
  await first.close()
  await rm(new Layout(path).reserve)
  disk.fill()
  await assert.rejects(openStore({ path }), /the disk is too full to open the index in .*: make room/)
  await disk.clear()
  const second = await openStore({ path })
  try {
    assert.ok(await stored(second.blobs, digest))
    assert.ok(await second.isPinned(digest))
  } finally {
    await second.close()
  }
})

it('a damaged index is not repaired on a disk without room to write it again', async (t) => {
  const disk = await SmallDisk.mount(t, 16)
  if (disk === undefined) return
  const path = join(disk.path, 'data')
  const mended = published(t, 'store.repaired')
  const first = await openStore({ path })
  const digest = await keep(first.blobs, randomBytes(100_000))
  await first.pin(digest)
  await first.close()
  const { index, reserve } = new Layout(path)
  await rm(join(index, 'CURRENT'))
  await rm(reserve)
  disk.fill()
  await assert.rejects(openStore({ path }), /the disk is too full to open the index in .*: make room/)
  await disk.clear()
  const second = await openStore({ path })
  try {
    assert.deepEqual(
      mended.map(({ how }) => how),
      ['repaired'],
    )
    assert.ok(await stored(second.blobs, digest))
    assert.ok(await second.isPinned(digest))
  } finally {
    await second.close()
  }
})

it('a damaged index on a full disk is repaired with the room of the reserve file', async (t) => {
  const disk = await SmallDisk.mount(t, 16)
  if (disk === undefined) return
  const path = join(disk.path, 'data')
  const mended = published(t, 'store.repaired')
  const first = await openStore({ path })
  const digest = await keep(first.blobs, randomBytes(100_000))
  await first.pin(digest)
  await first.close()
  await rm(join(new Layout(path).index, 'CURRENT'))
  disk.fill()
  const second = await openStore({ path })
  try {
    assert.deepEqual(
      mended.map(({ how }) => how),
      ['repaired'],
    )
    assert.ok(await stored(second.blobs, digest))
    assert.ok(await second.isPinned(digest))
  } finally {
    await second.close()
  }
})
