import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { it } from 'node:test'
import { openLanes } from '../../../src/lanes/lane-pool.ts'
import { Layout } from '../../../src/store/files/layout.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { feed, passOn, stored, wanted, writtenTo } from '../../conformance/blob-steps.ts'
import { folder, opened, smallDisk } from '../folder.ts'
import { failureOf } from './failure-of.ts'

const facts = { mediaType: undefined, origin: 'upstream x', references: [], subject: undefined }
const MIB = 1024 * 1024

it('the first bytes can be read at once, however large the blob', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  const incoming = await store.blobs.begin(wanted(digestOf(Buffer.from('x'))))
  const bytes = randomBytes(65536)
  await feed(incoming, bytes)
  assert.equal(incoming.written, 65536, 'before any thread could have written the bytes')
  const target = Buffer.alloc(65536)
  assert.equal(await incoming.read(target, 0), 65536)
  assert.deepEqual(target, bytes)
  await incoming.close()
})

it('a small blob has no file before it is stored', async (t) => {
  const path = await folder(t)
  const store = await opened(t, { path })
  const bytes = randomBytes(40_000)
  const incoming = await store.blobs.begin(wanted(digestOf(bytes)))
  await feed(incoming, bytes)
  assert.deepEqual(await readdir(new Layout(path).partial), [])
  await incoming.commit(facts)
  await incoming.close()
  assert.deepEqual(await readdir(new Layout(path).partial), [])
  assert.deepEqual(await stored(store.blobs, digestOf(bytes)), bytes)
})

it('100 concurrent incoming contents share the memory and are stored intact', async (t) => {
  const store = await opened(t, { path: await folder(t), lanes: openLanes({ memoryBytes: 16 * MIB }) })
  await Promise.all(
    Array.from({ length: 100 }, async (_, n) => {
      const bytes = Buffer.alloc(400_000 + n, createHash('sha256').update(String(n)).digest())
      const incoming = await store.blobs.begin(wanted(digestOf(bytes)))
      try {
        await feed(incoming, bytes, 30_000)
        await incoming.commit(facts)
      } finally {
        await incoming.close()
      }
    }),
  )
  assert.equal(store.usage().blobs, 100)
})

it('an incoming content waits to begin while others use all memory', async (t) => {
  const store = await opened(t, { path: await folder(t), lanes: openLanes({ memoryBytes: 4 * 65536 }) })
  const one = await store.blobs.begin(wanted(digestOf(Buffer.from('1'))))
  const two = await store.blobs.begin(wanted(digestOf(Buffer.from('2'))))
  let begun = false
  const three = store.blobs.begin(wanted(digestOf(Buffer.from('3')))).then((incoming) => {
    begun = true
    return incoming
  })
  await feed(one, randomBytes(3 * MIB))
  assert.equal(begun, false)
  await two.close()
  await (await three).close()
  await one.close()
})

it('a source that ignores backpressure fails the incoming content, and memory does not grow', async (t) => {
  const store = await opened(t, { path: await folder(t), lanes: openLanes({ memoryBytes: 4 * 65536 }) })
  const incoming = await store.blobs.begin(wanted(digestOf(Buffer.from('x'))))
  const failed = failureOf(incoming)
  for (let n = 0; n < 100; n++) {
    const room = incoming.buffer()
    assert.ok(room.length > 0)
    incoming.filled(room.length)
  }
  assert.match((await failed).message, /more bytes came than the buffer holds/)
  await assert.rejects(incoming.drained(), { code: 'disk' })
  await incoming.close()
})

it('closing the store keeps partials, and the next transfer resumes them', async (t) => {
  const path = await folder(t)
  const bytes = randomBytes(5 * MIB)
  const first = await opened(t, { path })
  const incoming = await first.blobs.begin(wanted(digestOf(bytes)))
  await feed(incoming, bytes.subarray(0, 3 * MIB))
  await first.close()
  await assert.rejects(first.blobs.begin(wanted(digestOf(bytes))), { code: 'stopping' })
  await incoming.close()
  const second = await opened(t, { path })
  const again = await second.blobs.begin(wanted(digestOf(bytes)))
  assert.equal(again.position, 3 * MIB)
  await feed(again, bytes.subarray(3 * MIB))
  assert.equal(await again.digest(), digestOf(bytes))
  await again.close()
})

it('reads that are under way when an incoming is closed get the right bytes', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  const bytes = randomBytes(4 * MIB)
  const incoming = await store.blobs.begin(wanted(digestOf(bytes)))
  await feed(incoming, bytes)
  await incoming.commit(facts)
  const targets = Array.from({ length: 16 }, () => Buffer.alloc(MIB))
  const reads = targets.map((target, n) => incoming.read(target, (n % 4) * MIB))
  await incoming.close()
  for (const [n, count] of (await Promise.all(reads)).entries()) {
    const from = (n % 4) * MIB
    assert.deepEqual(targets[n]?.subarray(0, count), bytes.subarray(from, from + count))
  }
  await assert.rejects(incoming.read(Buffer.alloc(1), 0))
})

it('the throughput of storing a content is reported', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  const bytes = randomBytes(24 * MIB)
  const digest = digestOf(bytes)
  const incoming = await store.blobs.begin(wanted(digest))
  const started = performance.now()
  await feed(incoming, bytes, MIB)
  assert.equal(await incoming.digest(), digest)
  const hashed = performance.now() - started
  await incoming.commit(facts)
  const done = performance.now() - started
  await incoming.close()
  const rate = (ms: number): string => `${(bytes.length / 1000 / ms).toFixed(0)} MB/s`
  t.diagnostic(`24 MiB: ${rate(hashed)} until written and hashed, ${rate(done)} until durable`)
})

it('cutting an incoming content after its disk became full restarts it', async (t) => {
  const path = await smallDisk(t, 6 * MIB)
  if (path === undefined) return
  const store = await opened(t, { path, lanes: openLanes({ memoryBytes: 2 * MIB }) })
  const bytes = randomBytes(12 * MIB)
  const incoming = await store.blobs.begin(wanted(digestOf(bytes)))
  await incoming.reserve(bytes.length)
  const reading = passOn(incoming, 8 * MIB)
  await feed(incoming, bytes.subarray(0, 8 * MIB))
  await reading
  assert.equal(incoming.isStorable, false)
  await incoming.truncate(4 * MIB)
  assert.equal(incoming.position, 0)
  assert.equal(incoming.isStorable, true)
  const small = bytes.subarray(0, 2 * MIB)
  await feed(incoming, small)
  assert.equal(await incoming.digest(), digestOf(small))
  await incoming.close()
})

it('closing an incoming content during a cut leaves the cut partial, and later cuts are refused', async (t) => {
  const path = await folder(t)
  const store = await opened(t, { path })
  const bytes = randomBytes(5 * MIB)
  const first = await store.blobs.begin(wanted(digestOf(bytes)))
  await feed(first, bytes.subarray(0, 2 * MIB))
  await feed(first, randomBytes(2 * MIB))
  const cutting = first.truncate(2 * MIB)
  await first.close()
  await cutting
  await assert.rejects(first.truncate(MIB), { code: 'stopping' })
  const second = await store.blobs.begin(wanted(digestOf(bytes)))
  assert.equal(second.position, 2 * MIB)
  await feed(second, bytes.subarray(2 * MIB))
  await writtenTo(second, bytes.length)
  await second.commit(facts)
  await second.close()
  assert.deepEqual(await stored(store.blobs, digestOf(bytes)), bytes)
})

it('a cut gives memory back', async (t) => {
  const store = await opened(t, { path: await folder(t), lanes: openLanes({ memoryBytes: MIB }) })
  const bytes = randomBytes(3 * MIB)
  const incoming = await store.blobs.begin(wanted(digestOf(bytes)))
  for (let round = 0; round < 40; round++) {
    await feed(incoming, bytes.subarray(incoming.position))
    await incoming.truncate(MIB + (round % 5) * 65536)
  }
  await feed(incoming, bytes.subarray(incoming.position))
  assert.equal(await incoming.digest(), digestOf(bytes))
  await incoming.close()
})

it('bytes ahead are on the disk, without a name, and are gone when they are closed', async (t) => {
  const path = await folder(t)
  const store = await opened(t, { path })
  const bytes = randomBytes(3 * MIB)
  const incoming = await store.blobs.begin(wanted(digestOf(bytes)))
  const ahead = await incoming.openAhead()
  await ahead.write(bytes.subarray(MIB), MIB)
  assert.deepEqual(await readdir(new Layout(path).partial), [])
  const target = new Uint8Array(new SharedArrayBuffer(100))
  assert.equal(await ahead.read(target, 2 * MIB), 100)
  assert.deepEqual(Buffer.from(target), bytes.subarray(2 * MIB, 2 * MIB + 100))
  await ahead.close()
  assert.equal(await ahead.read(target, 2 * MIB), 0)
  await incoming.close()
})
