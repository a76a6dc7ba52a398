import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import type { Worker } from 'node:worker_threads'
import { LanePool, openLanes } from '../../src/lanes/lane-pool.ts'
import { SharedMemory, type Slot } from '../../src/lanes/shared-memory.ts'
import { addCleanup } from '../../testkit/cleanup.ts'
import { checkpointsOf, digestOf } from '../../testkit/memory/digests.ts'
import { FACTS, feed, stored, wanted, writtenTo } from '../conformance/blob-steps.ts'
import { folder, opened, smallDisk } from '../store/folder.ts'
import { failureOf } from '../store/writing/failure-of.ts'
import { startedThreads } from './started-threads.ts'

const MIB = 1024 * 1024
const DIGEST = digestOf(Buffer.from('x'))
const ignoring = { written: () => {}, failed: () => {} }

/** Shared memory with a slot that starts with random bytes. */
async function memoryWithRandomSlot(bytes: number): Promise<{ memory: SharedMemory; slot: Slot }> {
  const memory = new SharedMemory(4 * MIB)
  const slot = memory.take(await memory.join(() => {}))
  assert.ok(slot && slot.bytes.length >= bytes)
  slot.bytes.set(randomBytes(bytes))
  return { memory, slot }
}

it('bytes are written in order, hashed, and reported', async (t) => {
  const { memory, slot } = await memoryWithRandomSlot(1000)
  const pool = new LanePool(memory, 1)
  addCleanup(t, () => pool.stop())
  const path = join(await folder(t), 'file')
  const fd = openSync(path, 'w+')
  addCleanup(t, () => closeSync(fd))
  const positions: number[] = []
  const file = pool.open(fd, DIGEST, 0, { ...ignoring, written: (position) => positions.push(position) })
  file.write(slot.offset, 600)
  file.write(slot.offset + 600, 400)
  assert.equal(await file.digest(), digestOf(slot.bytes.slice(0, 1000)))
  await file.end()
  assert.deepEqual(positions, [600, 1000])
  assert.deepEqual(new Uint8Array(readFileSync(path)), slot.bytes.slice(0, 1000))
})

it('bytes that are in the file already are hashed before appended bytes', async (t) => {
  const { memory, slot } = await memoryWithRandomSlot(10)
  const pool = new LanePool(memory, 1)
  addCleanup(t, () => pool.stop())
  const path = join(await folder(t), 'file')
  const existing = randomBytes(9 * MIB + 1)
  writeFileSync(path, existing)
  const fd = openSync(path, 'r+')
  addCleanup(t, () => closeSync(fd))
  const positions: number[] = []
  const file = pool.open(fd, DIGEST, existing.length, { ...ignoring, written: (at) => positions.push(at) })
  file.write(slot.offset, 10)
  assert.equal(await file.digest(), digestOf(Buffer.concat([existing, slot.bytes.slice(0, 10)])))
  await file.end()
  assert.deepEqual(positions, [4 * MIB, 8 * MIB, existing.length, existing.length + 10])
})

it('each checkpoint is reported with the bytes that complete it, also for bytes that are in the file already', async (t) => {
  const { memory, slot } = await memoryWithRandomSlot(500_000)
  const pool = new LanePool(memory, 1)
  addCleanup(t, () => pool.stop())
  const path = join(await folder(t), 'file')
  const existing = randomBytes(4 * MIB + 65536 + 5)
  writeFileSync(path, existing)
  const fd = openSync(path, 'r+')
  addCleanup(t, () => closeSync(fd))
  const reported: number[] = []
  const checkpoints: Uint8Array[] = []
  const file = pool.open(fd, DIGEST, existing.length, {
    ...ignoring,
    written: (_, more) => {
      reported.push((more?.length ?? 0) / 16)
      if (more !== undefined) checkpoints.push(more)
    },
  })
  file.write(slot.offset, 65530)
  file.write(slot.offset + 65530, 1)
  file.write(slot.offset + 65531, 434_469)
  await file.digest()
  await file.end()
  const bytes = Buffer.concat([existing, slot.bytes.slice(0, 500_000)])
  assert.deepEqual(reported, [64, 1, 0, 1, 6])
  assert.deepEqual(Buffer.concat(checkpoints), Buffer.from(checkpointsOf(bytes)))
})

it('a file that became shorter fails the digest', async (t) => {
  const { memory } = await memoryWithRandomSlot(10)
  const pool = new LanePool(memory, 1)
  addCleanup(t, () => pool.stop())
  const path = join(await folder(t), 'file')
  writeFileSync(path, 'short')
  const fd = openSync(path, 'r+')
  addCleanup(t, () => closeSync(fd))
  const file = pool.open(fd, DIGEST, 100, ignoring)
  await assert.rejects(file.digest(), { code: 'disk', message: /shorter than it was/ })
  await file.end()
})

it('a write error is reported once, hashing continues, and another file of the thread is not affected', async (t) => {
  const { memory, slot } = await memoryWithRandomSlot(30)
  const pool = new LanePool(memory, 1)
  addCleanup(t, () => pool.stop())
  const path = join(await folder(t), 'file')
  const good = openSync(path, 'w+')
  const bad = openSync(path, 'r')
  addCleanup(t, () => [good, bad].forEach(closeSync))
  const reported: unknown[] = []
  const one = pool.open(bad, DIGEST, 0, {
    ...ignoring,
    full: (position, failure) => reported.push(['full', position, failure?.code]),
    written: (position) => reported.push(['written', position]),
  })
  const other = pool.open(good, DIGEST, 0, ignoring)
  for (let n = 0; n < 3; n++) {
    one.write(slot.offset + n * 10, 10)
    other.write(slot.offset, 10)
  }
  one.hashOnly()
  const bytes = slot.bytes.slice(0, 30)
  assert.equal(await one.digest(), digestOf(bytes))
  assert.equal((await other.digest()).length, DIGEST.length)
  await Promise.all([one.end(), other.end()])
  assert.deepEqual(reported, [
    ['full', 0, 'disk'],
    ['written', 10],
    ['written', 20],
    ['written', 30],
  ])
})

it('a file on a full disk takes what fits, and the rest is only hashed', async (t) => {
  const { memory, slot } = await memoryWithRandomSlot(3000)
  const pool = new LanePool(memory, 1)
  addCleanup(t, () => pool.stop())
  const path = await smallDisk(t, 4096)
  if (path === undefined) return
  writeFileSync(join(path, 'start'), randomBytes(2000))
  const fd = openSync(join(path, 'start'), 'r+')
  addCleanup(t, () => closeSync(fd))
  let fullAt = 0
  const file = pool.open(fd, DIGEST, 2000, { ...ignoring, full: (position) => (fullAt = position) })
  const start = readFileSync(join(path, 'start'))
  file.write(slot.offset, 3000)
  assert.equal(await file.digest(), digestOf(Buffer.concat([start, slot.bytes.slice(0, 3000)])))
  await file.end()
  assert.equal(fullAt, 4096)
  assert.deepEqual(readFileSync(join(path, 'start')), Buffer.concat([start, slot.bytes.slice(0, 2096)]))
})

it('after hashOnly, and without a file, bytes are only hashed', async (t) => {
  const { memory, slot } = await memoryWithRandomSlot(20)
  const pool = new LanePool(memory, 1)
  addCleanup(t, () => pool.stop())
  const path = join(await folder(t), 'file')
  const fd = openSync(path, 'w+')
  addCleanup(t, () => closeSync(fd))
  const full: number[] = []
  const one = pool.open(fd, DIGEST, 0, { ...ignoring, full: (position) => full.push(position) })
  const other = pool.open(undefined, DIGEST, 0, ignoring)
  one.write(slot.offset, 10)
  one.hashOnly()
  one.write(slot.offset + 10, 10)
  other.write(slot.offset, 20)
  assert.equal(await one.digest(), digestOf(slot.bytes.slice(0, 20)))
  assert.equal(await other.digest(), digestOf(slot.bytes.slice(0, 20)))
  await Promise.all([one.end(), other.end()])
  assert.deepEqual(full, [10])
  assert.equal(readFileSync(path).length, 10)
})

it('a second thread starts only when the first is busy, and idle threads end', async (t) => {
  const threads: Worker[] = []
  const remember = (thread: Worker): number => threads.push(thread)
  process.on('worker', remember)
  addCleanup(t, () => process.off('worker', remember))
  const { memory, slot } = await memoryWithRandomSlot(10)
  const pool = new LanePool(memory, 2, { idleMs: 20 })
  addCleanup(t, () => pool.stop())
  const fd = openSync(join(await folder(t), 'file'), 'w+')
  addCleanup(t, () => closeSync(fd))
  pool.prepare()
  pool.prepare()
  const one = pool.open(fd, DIGEST, 0, ignoring)
  await one.digest()
  assert.equal(threads.length, 1)
  const two = pool.open(fd, DIGEST, 0, ignoring)
  const three = pool.open(fd, DIGEST, 0, ignoring)
  await Promise.all([two.digest(), three.digest()])
  assert.equal(threads.length, 2)
  const ended = Promise.all(threads.map((thread) => once(thread, 'exit')))
  const alive = setInterval(() => {}, 1000)
  await Promise.all([one, two, three].map((file) => file.end()))
  await ended
  clearInterval(alive)
  const again = pool.open(fd, DIGEST, 0, ignoring)
  again.write(slot.offset, 10)
  assert.equal(await again.digest(), digestOf(slot.bytes.slice(0, 10)))
  await again.end()
})

it('a content whose lane dies is continued in another lane, from the bytes in the file and in memory', async (t) => {
  const threads = startedThreads(t)
  const store = await opened(t, { path: await folder(t), lanes: openLanes({ lanes: 1 }) })
  const bytes = randomBytes(9 * MIB)
  const digest = digestOf(bytes)
  const incoming = await store.blobs.begin(wanted(digest))
  await feed(incoming, bytes.subarray(0, 5 * MIB))
  await writtenTo(incoming, MIB)
  assert.equal(threads.length, 1)
  await threads[0]?.terminate()
  await feed(incoming, bytes.subarray(5 * MIB))
  assert.equal(await incoming.digest(), digest)
  assert.deepEqual(incoming.checkpoints.since(0), checkpointsOf(bytes))
  await incoming.commit(FACTS)
  await incoming.close()
  assert.deepEqual(await stored(store.blobs, digest), bytes)
  assert.equal(threads.length, 2)
})

it('a request for the digest is answered by the next lane when the lane dies before it answers', async (t) => {
  const threads = startedThreads(t)
  const store = await opened(t, { path: await folder(t), lanes: openLanes({ lanes: 1 }) })
  const bytes = randomBytes(3 * MIB)
  const incoming = await store.blobs.begin(wanted(digestOf(bytes)))
  await feed(incoming, bytes)
  const digest = incoming.digest()
  await threads[0]?.terminate()
  assert.equal(await digest, digestOf(bytes))
  await incoming.close()
})

it('a content that is only hashed fails with its lane, because its bytes are gone', async (t) => {
  const threads = startedThreads(t)
  const limit = { bytes: 1000 }
  const store = await opened(t, { path: await folder(t), lanes: openLanes({ lanes: 1 }), maxBytes: limit })
  const incoming = await store.blobs.begin(wanted(digestOf(Buffer.from('x'))))
  assert.equal(await incoming.reserve(3 * MIB), false)
  await feed(incoming, randomBytes(3 * MIB))
  await writtenTo(incoming, MIB)
  const failed = failureOf(incoming)
  await threads[0]?.terminate()
  assert.match((await failed).message, /lane has died/)
  await assert.rejects(incoming.digest(), { code: 'disk' })
  await assert.rejects(incoming.drained(), { code: 'disk' })
  await incoming.close()
})
