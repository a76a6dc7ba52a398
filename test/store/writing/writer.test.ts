import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import type { Worker } from 'node:worker_threads'
import { SharedMemory, type Slot } from '../../../src/store/writing/shared-memory.ts'
import { Writers } from '../../../src/store/writing/writer.ts'
import { afterwards } from '../../../testkit/afterwards.ts'
import { digestOf, marksOf } from '../../../testkit/memory/memory-store.ts'
import { folder, smallDisk } from '../folder.ts'

const MIB = 1024 * 1024
const wanted = digestOf(Buffer.from('x'))
const deaf = { written: () => {}, failed: () => {} }

/** Some memory with random bytes in it. */
async function memoryWith(bytes: number): Promise<{ memory: SharedMemory; slot: Slot }> {
  const memory = new SharedMemory(4 * MIB)
  const slot = memory.take(await memory.join(() => {}))
  assert.ok(slot && slot.bytes.length >= bytes)
  slot.bytes.set(randomBytes(bytes))
  return { memory, slot }
}

it('bytes are written in order, hashed, and told of', async (t) => {
  const { memory, slot } = await memoryWith(1000)
  const writers = new Writers(memory, 1)
  afterwards(t, () => writers.stop())
  const path = join(await folder(t), 'file')
  const fd = openSync(path, 'w+')
  afterwards(t, () => closeSync(fd))
  const positions: number[] = []
  const file = writers.open(fd, wanted, 0, { ...deaf, written: (position) => positions.push(position) })
  file.write(slot.offset, 600)
  file.write(slot.offset + 600, 400)
  assert.equal(await file.digest(), digestOf(slot.bytes.slice(0, 1000)))
  await file.end()
  assert.deepEqual(positions, [600, 1000])
  assert.deepEqual(new Uint8Array(readFileSync(path)), slot.bytes.slice(0, 1000))
})

it('what is in the file already is hashed before what is written', async (t) => {
  const { memory, slot } = await memoryWith(10)
  const writers = new Writers(memory, 1)
  afterwards(t, () => writers.stop())
  const path = join(await folder(t), 'file')
  const there = randomBytes(9 * MIB + 1)
  writeFileSync(path, there)
  const fd = openSync(path, 'r+')
  afterwards(t, () => closeSync(fd))
  const positions: number[] = []
  const file = writers.open(fd, wanted, there.length, { ...deaf, written: (at) => positions.push(at) })
  file.write(slot.offset, 10)
  assert.equal(await file.digest(), digestOf(Buffer.concat([there, slot.bytes.slice(0, 10)])))
  await file.end()
  assert.deepEqual(positions, [4 * MIB, 8 * MIB, there.length, there.length + 10])
})

it('each mark is told of with the bytes it comes with, also of what is in the file already', async (t) => {
  const { memory, slot } = await memoryWith(500_000)
  const writers = new Writers(memory, 1)
  afterwards(t, () => writers.stop())
  const path = join(await folder(t), 'file')
  const there = randomBytes(4 * MIB + 65536 + 5)
  writeFileSync(path, there)
  const fd = openSync(path, 'r+')
  afterwards(t, () => closeSync(fd))
  const told: number[] = []
  const marks: Uint8Array[] = []
  const file = writers.open(fd, wanted, there.length, {
    ...deaf,
    written: (_, more) => {
      told.push((more?.length ?? 0) / 16)
      if (more !== undefined) marks.push(more)
    },
  })
  file.write(slot.offset, 65530)
  file.write(slot.offset + 65530, 1)
  file.write(slot.offset + 65531, 434_469)
  await file.digest()
  await file.end()
  const bytes = Buffer.concat([there, slot.bytes.slice(0, 500_000)])
  assert.deepEqual(told, [64, 1, 0, 1, 6])
  assert.deepEqual(Buffer.concat(marks), Buffer.from(marksOf(bytes)))
})

it('a file that has become shorter than it was is a failure', async (t) => {
  const { memory } = await memoryWith(10)
  const writers = new Writers(memory, 1)
  afterwards(t, () => writers.stop())
  const path = join(await folder(t), 'file')
  writeFileSync(path, 'short')
  const fd = openSync(path, 'r+')
  afterwards(t, () => closeSync(fd))
  const file = writers.open(fd, wanted, 100, deaf)
  await assert.rejects(file.digest(), { code: 'disk', message: /shorter than it was/ })
  await file.end()
})

it('a file that cannot be written is told of once and hashed on, and does not disturb another', async (t) => {
  const { memory, slot } = await memoryWith(30)
  const writers = new Writers(memory, 1)
  afterwards(t, () => writers.stop())
  const path = join(await folder(t), 'file')
  const good = openSync(path, 'w+')
  const bad = openSync(path, 'r')
  afterwards(t, () => [good, bad].forEach(closeSync))
  const told: unknown[] = []
  const one = writers.open(bad, wanted, 0, {
    ...deaf,
    full: (position, failure) => told.push(['full', position, failure?.code]),
    written: (position) => told.push(['written', position]),
  })
  const other = writers.open(good, wanted, 0, deaf)
  for (let n = 0; n < 3; n++) {
    one.write(slot.offset + n * 10, 10)
    other.write(slot.offset, 10)
  }
  one.pass()
  const bytes = slot.bytes.slice(0, 30)
  assert.equal(await one.digest(), digestOf(bytes))
  assert.equal((await other.digest()).length, wanted.length)
  await Promise.all([one.end(), other.end()])
  assert.deepEqual(told, [
    ['full', 0, 'disk'],
    ['written', 10],
    ['written', 20],
    ['written', 30],
  ])
})

it('a file of limited size takes what fits, and the rest is hashed once', async (t) => {
  const { memory, slot } = await memoryWith(3000)
  const writers = new Writers(memory, 1)
  afterwards(t, () => writers.stop())
  const path = await smallDisk(t, 4096)
  if (path === undefined) return
  writeFileSync(join(path, 'start'), randomBytes(2000))
  const fd = openSync(join(path, 'start'), 'r+')
  afterwards(t, () => closeSync(fd))
  let full = 0
  const file = writers.open(fd, wanted, 2000, { ...deaf, full: (position) => (full = position) })
  const start = readFileSync(join(path, 'start'))
  file.write(slot.offset, 3000)
  assert.equal(await file.digest(), digestOf(Buffer.concat([start, slot.bytes.slice(0, 3000)])))
  await file.end()
  assert.equal(full, 4096)
  assert.deepEqual(readFileSync(join(path, 'start')), Buffer.concat([start, slot.bytes.slice(0, 2096)]))
})

it('told to pass, or without a file, it only hashes', async (t) => {
  const { memory, slot } = await memoryWith(20)
  const writers = new Writers(memory, 1)
  afterwards(t, () => writers.stop())
  const path = join(await folder(t), 'file')
  const fd = openSync(path, 'w+')
  afterwards(t, () => closeSync(fd))
  const full: number[] = []
  const one = writers.open(fd, wanted, 0, { ...deaf, full: (position) => full.push(position) })
  const other = writers.open(undefined, wanted, 0, deaf)
  one.write(slot.offset, 10)
  one.pass()
  one.write(slot.offset + 10, 10)
  other.write(slot.offset, 20)
  assert.equal(await one.digest(), digestOf(slot.bytes.slice(0, 20)))
  assert.equal(await other.digest(), digestOf(slot.bytes.slice(0, 20)))
  await Promise.all([one.end(), other.end()])
  assert.deepEqual(full, [10])
  assert.equal(readFileSync(path).length, 10)
})

it('a second thread is started only when the first is busy, and idle ones go', async (t) => {
  const threads: Worker[] = []
  const remember = (thread: Worker): number => threads.push(thread)
  process.on('worker', remember)
  afterwards(t, () => process.off('worker', remember))
  const { memory, slot } = await memoryWith(10)
  const writers = new Writers(memory, 2, { idleMs: 20 })
  afterwards(t, () => writers.stop())
  const fd = openSync(join(await folder(t), 'file'), 'w+')
  afterwards(t, () => closeSync(fd))
  writers.prepare()
  writers.prepare()
  const one = writers.open(fd, wanted, 0, deaf)
  await one.digest()
  assert.equal(threads.length, 1)
  const two = writers.open(fd, wanted, 0, deaf)
  const three = writers.open(fd, wanted, 0, deaf)
  await Promise.all([two.digest(), three.digest()])
  assert.equal(threads.length, 2)
  const gone = Promise.all(threads.map((thread) => once(thread, 'exit')))
  const alive = setInterval(() => {}, 1000)
  await Promise.all([one, two, three].map((file) => file.end()))
  await gone
  clearInterval(alive)
  const again = writers.open(fd, wanted, 0, deaf)
  again.write(slot.offset, 10)
  assert.equal(await again.digest(), digestOf(slot.bytes.slice(0, 10)))
  await again.end()
})
