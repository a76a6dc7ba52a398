import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openDatabase } from '../../../src/store/database/open-database.ts'
import { isRepairMarked, markRepair, removeRepairMark } from '../../../src/store/database/repair-mark.ts'
import { Layout } from '../../../src/store/files/layout.ts'
import { folder } from '../folder.ts'
import { filled } from '../left-files.ts'

test('a repaired index is mended for every start until the mark is removed', async (t) => {
  const path = await folder(t)
  await filled(path, Buffer.from('x'))
  const layout = new Layout(path)
  const open = async (): Promise<boolean> => {
    const { database, isMended } = await openDatabase(layout)
    await database.close()
    return isMended
  }
  assert.equal(await open(), false)
  await rm(join(layout.index, 'CURRENT'))
  assert.deepEqual([await open(), await open(), await isRepairMarked(layout)], [true, true, true])
  await removeRepairMark(layout)
  assert.equal(await open(), false)
})

test('a mark may be set and removed twice', async (t) => {
  const layout = new Layout(await folder(t))
  for (const _ of [1, 2]) await markRepair(layout)
  assert.equal(await isRepairMarked(layout), true)
  for (const _ of [1, 2]) await removeRepairMark(layout)
  assert.equal(await isRepairMarked(layout), false)
})
