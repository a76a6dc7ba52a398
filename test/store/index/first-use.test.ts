import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDatabase } from '../../../src/store/database/open-database.ts'
import { prepareLayout } from '../../../src/store/files/layout.ts'
import { FirstUse } from '../../../src/store/index/first-use.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { digestOf } from '../../observe/memory-node.ts'
import { folder } from '../folder.ts'

test('a use is the first one until it is forgotten, and a sweep forgets what is not stored', async (t) => {
  const { database } = await openDatabase(await prepareLayout(await folder(t)))
  addCleanup(t, () => database.close())
  const [kept, dropped] = [digestOf('kept'), digestOf('dropped')]
  const uses = new FirstUse(database)
  const together = await Promise.all([uses.mark(kept), uses.mark(kept), uses.mark(dropped)])
  assert.deepEqual(together, [true, false, true])
  const next = new FirstUse(database)
  assert.equal(await next.mark(kept), false)
  await next.forget(kept)
  assert.equal(await next.mark(kept), true)
  const last = new FirstUse(database)
  await last.sweep(async (digests) => digests.map((digest) => digest === kept))
  assert.deepEqual([await last.mark(kept), await last.mark(dropped)], [false, true])
})
