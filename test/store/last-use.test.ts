import assert from 'node:assert/strict'
import { it, type TestContext } from 'node:test'
import { Level } from 'level'
import type { Digest } from '../../src/oci/digest.ts'
import { LastUse } from '../../src/store/last-use.ts'
import { Line } from '../../src/store/line.ts'
import { digestOf } from '../support/memory-store.ts'
import { afterwards, folder } from './folder.ts'

async function database(t: TestContext): Promise<Level<string, string>> {
  const level = new Level<string, string>(await folder(t))
  await level.open()
  afterwards(t, () => level.close())
  return level
}

/** Blobs that were stored long ago. */
async function placed(level: Level<string, string>, line: Line, count: number): Promise<Digest[]> {
  const digests = Array.from({ length: count }, (_, n) => digestOf(Buffer.from(String(n))))
  const batch = level.batch()
  for (const digest of digests) line.enter(batch, { digest, size: 1, kind: 'blob', storedAt: 5 }, undefined)
  await batch.write()
  return digests
}

it('uses are written together, and not before it is time', async (t) => {
  const level = await database(t)
  const line = new Line(level)
  const digests = await placed(level, line, 500)
  await line.whole()
  let writes = 0
  level.on('write', () => {
    writes += 1
  })
  const lastUse = new LastUse(level, line)
  for (let round = 0; round < 10; round++) for (const digest of digests) lastUse.mark(digest)
  assert.equal(writes, 0)
  const times = await lastUse.of(digests)
  assert.ok(times.every((time) => time !== undefined && time > 5))
  await lastUse.stop()
  assert.equal(writes, 1)
  assert.deepEqual(await new LastUse(level, line, { everyMs: 1_000_000 }).of(digests), times)
})

it('what cannot be written is kept for the next time', async (t) => {
  const level = await database(t)
  const line = new Line(level)
  const [digest] = await placed(level, line, 1)
  assert.ok(digest)
  const lastUse = new LastUse(level, line)
  lastUse.mark(digest)
  const [time] = await lastUse.of([digest])
  await level.close()
  await assert.rejects(lastUse.flush())
  await level.open()
  assert.deepEqual(await lastUse.of([digest]), [time])
  await lastUse.stop()
  assert.deepEqual(await new LastUse(level, line).of([digest]), [time])
})

it('of what is not here any more, no use is written', async (t) => {
  const level = await database(t)
  const line = new Line(level)
  await line.whole()
  const lastUse = new LastUse(level, line)
  lastUse.mark(digestOf(Buffer.from('gone')))
  await lastUse.stop()
  assert.deepEqual(await level.keys().all(), ['idle'])
})
