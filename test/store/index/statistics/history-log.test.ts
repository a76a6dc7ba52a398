import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDatabase } from '../../../../src/store/database/open-database.ts'
import { prepareLayout } from '../../../../src/store/files/layout.ts'
import { IndexHistoryLog } from '../../../../src/store/index/statistics/history-log.ts'
import { addCleanup } from '../../../../testkit/cleanup.ts'
import { all, folder } from '../../folder.ts'

test('a slot keeps its last text, and foreign keys are not read', async (t) => {
  const { database } = await openDatabase(await prepareLayout(await folder(t)))
  addCleanup(t, () => database.close())
  const log = new IndexHistoryLog(database)
  await log.write([
    { scale: 'minute', slot: 7, text: 'old' },
    { scale: 'quarter', slot: 7, text: 'day' },
  ])
  await log.write([{ scale: 'minute', slot: 7, text: 'new' }])
  await database.put('history!century!1', 'x')
  assert.deepEqual(await all(new IndexHistoryLog(database).entries()), [
    { scale: 'minute', slot: 7, text: 'new' },
    { scale: 'quarter', slot: 7, text: 'day' },
  ])
})
