import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { Level } from 'level'
import { Layout } from '../../src/store/files/layout.ts'
import type { Store } from '../../src/store/store.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { SmallDisk } from '../../testkit/small-disk.ts'
import { keep, stored } from '../conformance/blob-steps.ts'
import { all, openStore, published } from './folder.ts'

/** A store whose index cannot be written because the disk is full. Dropped blobs must count as not stored all the same. */

const REPOSITORY = { registry: 'docker.io', name: 'library/alpine' }
const NOWHERE = digestOf(Buffer.from('nowhere'))
/** Opening the index needs less than this, and removing all entries needs more. */
const ROOM_TO_OPEN_BYTES = 64 * 1024
const ENTRIES = 600

it('a store on a full disk can be closed, although the last uses cannot be written', async (t) => {
  const disk = await SmallDisk.mount(t, 16)
  if (disk === undefined) return
  const path = join(disk.path, 'data')
  const store = await openStore({ path })
  const digest = await keep(store.blobs, randomBytes(1000))
  await fill(store, disk)
  assert.ok(await stored(store.blobs, digest))
  await store.close()
  const again = await openStore({ path })
  try {
    assert.ok(await stored(again.blobs, digest))
  } finally {
    await again.close()
  }
})

it('entries without files count as not stored while the index cannot be written, and are dropped later', async (t) => {
  const disk = await SmallDisk.mount(t, 16)
  if (disk === undefined) return
  const path = join(disk.path, 'data')
  const first = await openStore({ path })
  const kept = await keep(first.blobs, randomBytes(1000))
  for (let n = 0; n < ENTRIES; n += 30) {
    const digests = Array.from({ length: 30 }, () => keep(first.blobs, randomBytes(100)))
    for (const digest of await Promise.all(digests)) await rm(new Layout(path).blob(digest))
  }
  await first.close()
  // The log becomes a table while there is room for one.
  const index = new Level(new Layout(path).index)
  await index.open()
  await index.close()
  const recovered = published(t, 'store.recovered')
  disk.fill(ROOM_TO_OPEN_BYTES)
  const store = await openStore({ path })
  try {
    assert.deepEqual(store.usage(), { bytes: 1000, blobs: 1 })
    assert.deepEqual(
      (await all(store.list())).map((facts) => facts.digest),
      [kept],
    )
  } finally {
    await store.close()
  }
  await disk.clear()
  for (const _ of ['with room', 'after that']) await (await openStore({ path })).close()
  assert.deepEqual(
    recovered.map(({ dropped }) => dropped),
    [ENTRIES, ENTRIES, 0],
  )
})

it('a truncated blob on a full disk is dropped, reported, and can be stored again', async (t) => {
  const disk = await SmallDisk.mount(t, 16)
  if (disk === undefined) return
  const path = join(disk.path, 'data')
  const failed = published(t, 'verify.failed')
  const store = await openStore({ path })
  const bytes = randomBytes(100_000)
  try {
    const digest = await keep(store.blobs, bytes)
    await truncate(new Layout(path).blob(digest), 10)
    await fill(store, disk)
    assert.equal(await stored(store.blobs, digest), undefined)
    assert.equal(await store.blobs.facts(digest), undefined)
    assert.deepEqual(await all(store.list()), [])
    assert.deepEqual(store.usage(), { bytes: 0, blobs: 0 })
    assert.deepEqual(
      failed.map((fact) => fact.digest),
      [digest],
    )
    await disk.clear()
    await keep(store.blobs, bytes)
    assert.ok((await stored(store.blobs, digest))?.equals(bytes))
    assert.deepEqual(store.usage(), { bytes: 100_000, blobs: 1 })
    assert.equal((await all(store.list())).length, 1)
  } finally {
    await store.close()
  }
})

/** Fills the disk until the index cannot append even one more record. */
async function fill(store: Store, disk: SmallDisk): Promise<void> {
  disk.fill()
  const remember = (n: number): Promise<void> =>
    store.catalog.rememberTag(REPOSITORY, `t${n}`, { digest: NOWHERE, mediaType: undefined, checkedAt: n })
  await assert.rejects(async () => {
    for (let n = 0; n < 10_000; n++) await remember(n)
  })
}
