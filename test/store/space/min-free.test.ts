import assert from 'node:assert/strict'
import { it } from 'node:test'
import { SmallDisk } from '../../../testkit/small-disk.ts'
import { opened } from '../folder.ts'
import { keepInTurn } from '../stored-blobs.ts'

const MIB = 1024 * 1024
const { signal } = new AbortController()

it('on a filesystem that others fill, the store shrinks until enough is free, and keeps what is pinned or read', async (t) => {
  const disk = await SmallDisk.mount(t, 32)
  if (disk === undefined) return
  const store = await opened(t, { path: disk.path, minFree: { bytes: 8 * MIB } })
  const digests = await keepInTurn(store, ...Array.from({ length: 12 }, () => MIB))
  const [read, pinned, oldest] = digests
  assert.ok(read !== undefined && pinned !== undefined && oldest !== undefined)
  await store.pin(pinned)
  const content = (await store.blobs.open(read)) ?? assert.fail()
  disk.fill(4 * MIB)
  await store.gc({ signal })
  assert.ok(disk.free >= 8 * MIB, `${disk.free} bytes are free`)
  assert.equal(await store.blobs.facts(oldest), undefined)
  for (const digest of [read, pinned]) assert.ok(await store.blobs.facts(digest))
  assert.ok(store.usage().bytes < 12 * MIB)

  disk.fill(MIB)
  await store.gc({ signal })
  assert.equal(store.usage().bytes, 2 * MIB, 'only what is pinned or read is left')
  assert.ok((store.room().limitBytes ?? 0) < 8 * MIB)
  await content.close()
})
