import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { it } from 'node:test'
import { Level } from 'level'
import { ResilientLevel } from '../../../src/store/database/resilient-level.ts'
import type { Store } from '../../../src/store/store.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { SmallDisk } from '../../../testkit/small-disk.ts'
import { keep, stored } from '../../conformance/blob-steps.ts'
import { folder, openStore } from '../folder.ts'

/** LevelDB on a full disk must accept writes again when there is room. */

const REPOSITORY = { registry: 'docker.io', name: 'library/alpine' }
const DIGEST = digestOf(Buffer.from('any'))
const MIB = 1024 * 1024

for (const [what, left] of [
  ['a table of the index', 600 * 1024],
  ['a record of its log', 0],
] as const) {
  it(`after the disk had no room for ${what}, the index accepts writes again and has lost no acknowledged write`, async (t) => {
    const disk = await SmallDisk.mount(t, 16)
    if (disk === undefined) return
    const path = join(disk.path, 'data')
    let store: Store = await openStore({ path })
    const remembered = new Set<string>()
    const blobs = [await keep(store.blobs, randomBytes(1000)), await keep(store.blobs, randomBytes(200_000))]
    try {
      await remember(store, remembered, 500)
      disk.fill(left)
      await assert.rejects(remember(store, remembered, 50_000))
      await assert.rejects(remember(store, remembered, 1))
      for (const digest of blobs)
        assert.ok(await stored(store.blobs, digest), 'what is there must be readable')
      await disk.clear()
      await remember(store, remembered, 500)
      blobs.push(await keep(store.blobs, randomBytes(MIB)))
    } finally {
      await store.close()
    }
    store = await openStore({ path })
    try {
      for await (const { tag } of store.tags()) remembered.delete(tag)
      assert.equal(remembered.size, 0, `${remembered.size} tags are lost`)
      for (const digest of blobs) assert.ok(await stored(store.blobs, digest))
    } finally {
      await store.close()
    }
  })
}

it('long values are written in a batch whose memory is freed after the write', async (t) => {
  const level = new ResilientLevel(await folder(t))
  await level.open()
  addCleanup(t, () => level.close())
  const batch = t.mock.method(Level.prototype, 'batch')
  const arrays = () => batch.mock.calls.map(({ arguments: given }) => given.length > 0)
  await level.put('short', 'value')
  assert.deepEqual(arrays(), [false])
  const bytes = new Uint8Array(randomBytes(64 * 1024))
  await level
    .batch()
    .put<string, Uint8Array>('long', bytes, { valueEncoding: 'view' })
    .put('text', 'value')
    .del('short')
    .write({ sync: true })
  assert.deepEqual(arrays(), [false, true])
  const long = await level.get<string, Uint8Array>('long', { valueEncoding: 'view' })
  assert.deepEqual(Buffer.from(long ?? []), Buffer.from(bytes))
  assert.deepEqual(await level.getMany(['text', 'short']), ['value', undefined])
})

/** Writes one tag after another, each with a name that compresses badly. */
async function remember(store: Store, remembered: Set<string>, tags: number): Promise<void> {
  for (let n = 0; n < tags; n++) {
    const tag = randomBytes(60).toString('base64url')
    await store.catalog.rememberTag(REPOSITORY, tag, {
      digest: DIGEST,
      mediaType: undefined,
      checkedAt: Date.now(),
    })
    remembered.add(tag)
  }
}
