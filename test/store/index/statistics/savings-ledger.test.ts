import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDatabase } from '../../../../src/store/database/open-database.ts'
import { prepareLayout } from '../../../../src/store/files/layout.ts'
import {
  IndexSavingsLedger,
  type LedgerEntry,
} from '../../../../src/store/index/statistics/savings-ledger.ts'
import { addCleanup } from '../../../../testkit/cleanup.ts'
import { all, folder } from '../../folder.ts'

test('bytes are added up by day, image, zone and kind; old days and foreign keys are removed', async (t) => {
  const { database } = await openDatabase(await prepareLayout(await folder(t)))
  addCleanup(t, () => database.close())
  const ledger = new IndexSavingsLedger(database)
  const today = new Date().toISOString().slice(0, 10)
  const entry: LedgerEntry = {
    day: today,
    registry: 'registry.test:5000',
    image: 'team/app',
    zone: '',
    kind: 'clients',
    bytes: 5,
  }
  await ledger.add([entry, { ...entry, zone: 'b' }])
  await ledger.add([entry, { ...entry, kind: 'peers' }, { ...entry, day: '2020-01-01' }])
  await database.put('saved!nonsense', 'x')
  const found = [
    { ...entry, bytes: 10 },
    { ...entry, kind: 'peers' as const },
    { ...entry, zone: 'b' },
  ]
  assert.deepEqual(await all(ledger.entries()), found)
  assert.deepEqual(await all(new IndexSavingsLedger(database).entries()), found)
  assert.equal(await database.get('saved!nonsense'), undefined)
})
