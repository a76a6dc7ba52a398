import assert from 'node:assert/strict'
import { it } from 'node:test'
import { BlobRemoval } from '../../src/store/blob-removal.ts'
import { openDatabase } from '../../src/store/database/open-database.ts'
import { BlobFiles } from '../../src/store/files/blob-files.ts'
import { prepareLayout } from '../../src/store/files/layout.ts'
import { Partials } from '../../src/store/files/partials.ts'
import type { BlobEntry } from '../../src/store/index/blob-entry.ts'
import { BlobIndex } from '../../src/store/index/blob-index.ts'
import { LastUse } from '../../src/store/index/last-use.ts'
import { addCleanup } from '../../testkit/cleanup.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { folder, published } from './folder.ts'

it('a blob that two removals have chosen, at once or one after the other, is dropped and counted once', async (t) => {
  const layout = await prepareLayout(await folder(t))
  const { database } = await openDatabase(layout)
  addCleanup(t, () => database.close())
  const index = new BlobIndex(database)
  const lastUse = new LastUse(index.evictionOrder)
  addCleanup(t, () => lastUse.stop())
  const parts = { index, blobFiles: new BlobFiles(layout), partials: new Partials(layout) }
  const removal = new BlobRemoval(parts, lastUse)
  const evicted = published(t, 'store.evicted')
  const entry: BlobEntry = {
    digest: digestOf(Buffer.from('layer')),
    size: 100,
    kind: 'blob',
    mediaType: undefined,
    storedAt: 1,
    origin: 'upstream x',
  }
  await index.put(entry, { references: [], subject: undefined, repository: undefined })
  const nothing = { blobs: 0, bytes: 0 }
  assert.deepEqual(await Promise.all([removal.drop([entry], 'gc'), removal.drop([entry], 'room')]), [
    { blobs: 1, bytes: 100 },
    nothing,
  ])
  assert.deepEqual(await removal.drop([entry], 'gc'), nothing)
  assert.equal(await removal.dropOne(entry.digest), false)
  assert.deepEqual(index.usage, { bytes: 0, blobs: 0 })
  assert.equal(evicted.length, 1)
})
