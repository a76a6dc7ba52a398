import assert from 'node:assert/strict'
import { it, type TestContext } from 'node:test'
import { Level } from 'level'
import { LastUse } from '../../src/store/last-use.ts'
import { digestOf } from '../support/memory-store.ts'
import { afterwards, folder } from './folder.ts'

async function database(t: TestContext): Promise<Level<string, string>> {
  const level = new Level<string, string>(await folder(t))
  await level.open()
  afterwards(t, () => level.close())
  return level
}

it('uses are written together, and not before it is time', async (t) => {
  const level = await database(t)
  let writes = 0
  level.on('write', () => {
    writes += 1
  })
  const lastUse = new LastUse(level)
  const digests = Array.from({ length: 500 }, (_, n) => digestOf(Buffer.from(String(n))))
  for (let round = 0; round < 10; round++) for (const digest of digests) lastUse.mark(digest)
  assert.equal(writes, 0)
  const times = await lastUse.of(digests)
  assert.ok(times.every((time) => time !== undefined))
  await lastUse.stop()
  assert.equal(writes, 1)
  assert.deepEqual(await new LastUse(level, { everyMs: 1_000_000 }).of(digests), times)
})

it('what cannot be written is kept for the next time', async (t) => {
  const level = await database(t)
  const lastUse = new LastUse(level)
  const digest = digestOf(Buffer.from('x'))
  lastUse.mark(digest)
  const [time] = await lastUse.of([digest])
  await level.close()
  await assert.rejects(lastUse.flush())
  await level.open()
  assert.deepEqual(await lastUse.of([digest]), [time])
  await lastUse.stop()
  assert.deepEqual(await new LastUse(level).of([digest]), [time])
})
