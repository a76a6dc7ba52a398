import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { it } from 'node:test'
import type { Store } from '../../../src/store/store.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { SmallDisk } from '../../../testkit/small-disk.ts'
import { keep, stored } from '../../conformance/blob-steps.ts'
import { openStore } from '../folder.ts'

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
