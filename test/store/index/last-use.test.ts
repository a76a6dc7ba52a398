import assert from 'node:assert/strict'
import { it, type TestContext } from 'node:test'
import { Level } from 'level'
import type { Digest } from '../../../src/oci/digest.ts'
import { EvictionOrder } from '../../../src/store/index/eviction-order.ts'
import { LastUse } from '../../../src/store/index/last-use.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { folder } from '../folder.ts'

async function database(t: TestContext): Promise<Level<string, string>> {
  const level = new Level<string, string>(await folder(t))
  await level.open()
  addCleanup(t, () => level.close())
  return level
}

/** The eviction order of blobs that were stored long ago. */
async function orderOf(level: Level<string, string>, ...digests: Digest[]): Promise<EvictionOrder> {
  const blobs = digests.map((digest) => ({ digest, size: 1, kind: 'blob' as const, storedAt: 5 }))
  const order = new EvictionOrder(level, {
    async *list() {
      yield* blobs
    },
    getMany: async (wanted) => wanted.map((digest) => blobs.find((blob) => blob.digest === digest)),
  })
  await order.ensureComplete()
  return order
}

it('uses are written together when the timer fires', async (t) => {
  const level = await database(t)
  const digests = Array.from({ length: 500 }, (_, n) => digestOf(Buffer.from(String(n))))
  const order = await orderOf(level, ...digests)
  let writes = 0
  level.on('write', () => {
    writes += 1
  })
  const lastUse = new LastUse(order, { everyMs: 1_000_000 })
  for (let round = 0; round < 10; round++) for (const digest of digests) lastUse.mark(digest)
  assert.equal(writes, 0)
  const times = await lastUse.of(digests)
  assert.ok(times.every((time) => time !== undefined && time > 5))
  await lastUse.stop()
  assert.equal(writes, 1)
  assert.deepEqual(await new LastUse(order, { everyMs: 1_000_000 }).of(digests), times)
})

it('uses that could not be written are written at the next flush', async (t) => {
  const level = await database(t)
  const digest = digestOf(Buffer.from('x'))
  const order = await orderOf(level, digest)
  const lastUse = new LastUse(order)
  lastUse.mark(digest)
  const [time] = await lastUse.of([digest])
  await level.close()
  await assert.rejects(lastUse.flush())
  await level.open()
  assert.deepEqual(await lastUse.of([digest]), [time])
  await lastUse.stop()
  assert.deepEqual(await new LastUse(order).of([digest]), [time])
})

it('no use is written for a blob that is no longer stored', async (t) => {
  const level = await database(t)
  const order = await orderOf(level)
  const lastUse = new LastUse(order)
  lastUse.mark(digestOf(Buffer.from('gone')))
  await lastUse.stop()
  assert.deepEqual(await level.keys().all(), ['idle'])
})
