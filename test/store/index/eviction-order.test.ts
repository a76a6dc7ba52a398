import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { it, type TestContext } from 'node:test'
import { Level } from 'level'
import { LanePool } from '../../../src/lanes/lane-pool.ts'
import { SharedMemory } from '../../../src/lanes/shared-memory.ts'
import { type Digest, parseDigest } from '../../../src/oci/digest.ts'
import { DiskBlobStore } from '../../../src/store/disk-blob-store.ts'
import { BlobFiles } from '../../../src/store/files/blob-files.ts'
import { prepareLayout } from '../../../src/store/files/layout.ts'
import { Partials } from '../../../src/store/files/partials.ts'
import { Quarantine } from '../../../src/store/files/quarantine.ts'
import { BlobIndex } from '../../../src/store/index/blob-index.ts'
import { LastUse } from '../../../src/store/index/last-use.ts'
import { DiskBudget } from '../../../src/store/space/disk-budget.ts'
import { Eviction } from '../../../src/store/space/evict.ts'
import { measureDisk } from '../../../src/store/space/measure.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { runs } from '../../../testkit/property-runs.ts'
import { keep } from '../../conformance/blob-steps.ts'
import { all, folder, opened, openStore } from '../folder.ts'

const { signal } = new AbortController()

function digestOfNumber(n: number): Digest {
  const digest = parseDigest(`sha256:${createHash('sha256').update(String(n)).digest('hex')}`)
  assert.ok(digest)
  return digest
}

/** An index as the first version wrote it: blob `n` was last used at `n`, every second one never since it was stored. */
async function oldIndex(t: TestContext, count: number): Promise<Level<string, string>> {
  const level = new Level<string, string>(await folder(t), { cacheSize: 2 * 1024 * 1024 })
  await level.open()
  addCleanup(t, () => level.close())
  for (let at = 0; at < count; at += 10_000) {
    const batch = level.batch()
    for (let n = at; n < Math.min(count, at + 10_000); n++) {
      const digest = digestOfNumber(n)
      const storedAt = n % 2 === 0 ? n : 0
      batch.put(`blob!${digest}`, JSON.stringify({ size: 100, kind: 'blob', storedAt, origin: 'x' }))
      if (n % 2 === 1) batch.put(`used!${digest}`, String(n))
    }
    await batch.write()
  }
  return level
}

/** Eviction over an index without files. */
async function evictionOver(t: TestContext, level: Level<string, string>) {
  const layout = await prepareLayout(await folder(t))
  const entries = new BlobIndex(level)
  const memory = new SharedMemory(16 * 1024 * 1024)
  const lastUse = new LastUse(entries.evictionOrder, { everyMs: 1_000_000 })
  const evicted: Digest[] = []
  const room: DiskBudget = new DiskBudget({
    limit: undefined,
    store: {
      storedBytes: () => entries.usage.bytes,
      unevictableBytes: () => eviction.unevictableBytes(),
      measure: () => measureDisk(layout),
      evict: (...given) => eviction.evict(...given),
    },
  })
  const parts = {
    memory,
    budget: room,
    index: entries,
    lanes: new LanePool(memory, 1),
    blobFiles: new BlobFiles(layout),
    partials: new Partials(layout),
    quarantine: new Quarantine(layout),
  }
  const blobs = new DiskBlobStore(parts, lastUse)
  blobs.onDropped((digest) => evicted.push(digest))
  const eviction = new Eviction(entries, lastUse, blobs)
  return { entries, lastUse, eviction, evicted }
}

/** Counts the keys that are requested from now on, at most. */
function countReads(level: Level<string, string>): () => number {
  let count = 0
  // `keys` is made of `iterator` below.
  const { get, getMany, iterator } = level
  Object.assign(level, {
    get: (...given: unknown[]) => {
      count += 1
      return Reflect.apply(get, level, given)
    },
    getMany: (...given: [string[]]) => {
      count += given[0].length
      return Reflect.apply(getMany, level, given)
    },
    iterator: (...given: [{ limit?: number }]) => {
      const { limit = -1 } = given[0]
      count += limit < 0 ? 1_000_000 : limit
      return Reflect.apply(iterator, level, given)
    },
  })
  return () => count
}

it('eviction finds its blob without a search among very many, and an index without ranks gets them once', async (t) => {
  const blobs = runs(20_000).numRuns
  const level = await oldIndex(t, blobs)
  const { entries, lastUse, eviction, evicted } = await evictionOver(t, level)
  entries.setUsage(blobs * 100, blobs)

  let started = performance.now()
  await entries.evictionOrder.ensureComplete()
  t.diagnostic(`ranking ${blobs} blobs: ${Math.round(performance.now() - started)} ms`)

  started = performance.now()
  await new BlobIndex(level).evictionOrder.ensureComplete()
  t.diagnostic(`the next start: ${(performance.now() - started).toFixed(1)} ms`)

  // The first eviction also counts the pins.
  await eviction.evict(1, 'room', new Map())
  const reads = countReads(level)
  const times: number[] = []
  for (let n = 1; n < 400; n++) {
    const before = reads()
    started = performance.now()
    assert.deepEqual(await eviction.evict(1, 'room', new Map()), { blobs: 1, bytes: 100 })
    times.push(performance.now() - started)
    assert.ok(reads() - before < 300, `${reads() - before} keys were read`)
  }
  times.sort((one, other) => one - other)
  t.diagnostic(`one goes in ${times[200]?.toFixed(2)} ms, at worst ${times.at(-1)?.toFixed(2)} ms`)
  assert.deepEqual(
    evicted,
    Array.from({ length: 400 }, (_, n) => digestOfNumber(n)),
  )

  for (let n = 400; n < 5400; n++) lastUse.mark(digestOfNumber(n))
  started = performance.now()
  await eviction.evict(1, 'room', new Map())
  t.diagnostic(`after 5,000 uses: ${(performance.now() - started).toFixed(2)} ms`)
  assert.equal(evicted.at(-1), digestOfNumber(5400))
  assert.deepEqual(entries.usage, { bytes: (blobs - 401) * 100, blobs: blobs - 401 })
})

it('pinned blobs are passed once, and not read again for each evicted blob', async (t) => {
  const level = await oldIndex(t, 5000)
  const { entries, eviction, evicted } = await evictionOver(t, level)
  entries.setUsage(500_000, 5000)
  const batch = level.batch().put(`pin!${digestOfNumber(0)}`, '0')
  for (let n = 0; n < 4000; n++) batch.put(`kept!${digestOfNumber(n)}!${digestOfNumber(0)}`, '')
  await batch.write()
  assert.equal(await eviction.unevictableBytes(), 400_000)
  await eviction.evict(1, 'room', new Map())
  assert.deepEqual(evicted, [digestOfNumber(4000)])
  const reads = countReads(level)
  await eviction.evict(1, 'room', new Map())
  assert.ok(reads() < 300)
  assert.deepEqual(evicted, [4000, 4001].map(digestOfNumber))
})

it('blobs that an older agent stored without ranks are evicted too', async (t) => {
  const level = await oldIndex(t, 3)
  const { entries, eviction, evicted } = await evictionOver(t, level)
  entries.setUsage(400, 4)
  await entries.evictionOrder.ensureComplete()
  const stray = digestOfNumber(9)
  await level.put(`blob!${stray}`, JSON.stringify({ size: 100, kind: 'blob', storedAt: 1, origin: 'x' }))
  await level.put(`used!${digestOfNumber(2)}`, '77')
  for (let n = 0; n < 4; n++) await eviction.evict(100, 'room', new Map())
  assert.deepEqual([...evicted].sort(), [0, 1, 2, 9].map(digestOfNumber).sort())
  assert.deepEqual(await eviction.evict(100, 'room', new Map()), { blobs: 0, bytes: 0 })
})

it('blobs whose last use lies in the future are evicted like all others', async (t) => {
  const path = await folder(t)
  const first = await openStore({ path })
  const ahead = await keep(first.blobs, Buffer.from('ahead'))
  await first.close()
  const level = new Level<string, string>(`${path}/index`)
  const [key = ''] = await level.keys({ gt: 'idle!', lt: 'idle"' }).all()
  const later = Date.now() + 1e12
  await level.batch([
    { type: 'del', key },
    { type: 'put', key: `idle!${String(later).padStart(16, '0')}!${ahead}`, value: '' },
    { type: 'put', key: `used!${ahead}`, value: String(later) },
  ])
  await level.close()
  const store = await opened(t, { path })
  const lastUsedAt = async (): Promise<number> => (await store.blobs.facts(ahead))?.lastUsedAt ?? later
  while ((await lastUsedAt()) > Date.now()) await new Promise((resolve) => setImmediate(resolve))
  const now = Date.now()
  while (Date.now() === now) await new Promise((resolve) => setImmediate(resolve))
  const after = await keep(store.blobs, Buffer.from('after'))
  await store.gc({ toBytes: 5, signal })
  assert.deepEqual(
    (await all(store.list())).map(({ digest }) => digest),
    [after],
  )
})
