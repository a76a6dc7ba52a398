import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Worker } from 'node:worker_threads'
import type { Digest } from '../../../src/oci/digest.ts'
import { parseDigest } from '../../../src/oci/digest.ts'
import type { Incoming } from '../../../src/ports/blob-store.ts'
import { Layout } from '../../../src/store/files/layout.ts'
import { afterwards } from '../../../testkit/cleanup.ts'
import { digestOf } from '../../../testkit/memory/memory-store.ts'
import { feed, keep, passOn, stored, wanted, writtenTo } from '../../conformance/blob-store.ts'
import { folder, opened, published, smallDisk } from '../folder.ts'
import { blob, LARGE_BYTES } from '../writing-child.ts'

const facts = { mediaType: undefined, origin: 'upstream x', references: [], subject: undefined }
const MIB = 1024 * 1024

/** Resolves with the failure that the progress listener gets. */
function failureOf(incoming: Incoming): Promise<Error> {
  return new Promise((resolve) => {
    incoming.onProgress((failure) => {
      if (failure !== undefined) resolve(failure)
    })
  })
}

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

it('storing a content publishes an event', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  const committed = published(t, 'store.committed')
  const digest = await keep(store.blobs, randomBytes(100))
  assert.deepEqual(committed, [{ digest, size: 100 }])
})

it('100 concurrent incoming contents share the memory and are stored intact', async (t) => {
  const store = await opened(t, { path: await folder(t), memoryBytes: 16 * MIB })
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

it('an incoming content waits to begin while others hold all memory', async (t) => {
  const store = await opened(t, { path: await folder(t), memoryBytes: 4 * 65536 })
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
  const store = await opened(t, { path: await folder(t), memoryBytes: 4 * 65536 })
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

it('when the disk fills up during a transfer, readers get all bytes, and the partial is removed', async (t) => {
  const path = await smallDisk(t, 6 * MIB)
  if (path === undefined) return
  const store = await opened(t, { path, memoryBytes: 2 * MIB })
  const bytes = randomBytes(12 * MIB)
  const incoming = await store.blobs.begin(wanted(digestOf(bytes)))
  assert.equal(await incoming.reserve(bytes.length), true, 'there is no limit but the disk')
  const reading = passOn(incoming, bytes.length)
  await feed(incoming, bytes)
  assert.ok((await reading).equals(bytes))
  assert.equal(incoming.isStorable, false)
  assert.match(String(incoming.passThroughReason?.message), /no space left on device/)
  assert.ok(incoming.readableFrom > 0)
  assert.equal(await incoming.digest(), digestOf(bytes))
  assert.equal(await incoming.commit(facts), false)
  await incoming.close()
  assert.deepEqual(await readdir(new Layout(path).partial), [])
  const small = randomBytes(2 * MIB)
  const digest = await keep(store.blobs, small)
  assert.deepEqual(await stored(store.blobs, digest), small)
})

it('bytes written before the disk was full stay readable until all readers are past them, then their file goes', async (t) => {
  const path = await smallDisk(t, 6 * MIB)
  if (path === undefined) return
  const store = await opened(t, { path, memoryBytes: 2 * MIB })
  const bytes = randomBytes(12 * MIB)
  const incoming = await store.blobs.begin(wanted(digestOf(bytes)))
  await incoming.reserve(bytes.length)
  const feeding = feed(incoming, bytes)
  const target = Buffer.alloc(bytes.length)
  const readTo = async (end: number, from: number): Promise<void> => {
    for (let at = from; at < end; ) {
      await writtenTo(incoming, at + 1)
      at += await incoming.read(target.subarray(at, end), at)
    }
  }
  await readTo(6 * MIB, 0)
  assert.equal(incoming.isStorable, false)
  incoming.discardBefore(MIB)
  assert.equal(incoming.readableFrom, 0, 'a new reader can still read the file from its start')
  await readTo(6 * MIB, 0)
  assert.deepEqual(target.subarray(0, 6 * MIB), bytes.subarray(0, 6 * MIB))
  incoming.discardBefore(6 * MIB)
  assert.equal(incoming.readableFrom, 6 * MIB)
  for (let at = 6 * MIB; at < bytes.length; at += 500_000) {
    const end = Math.min(bytes.length, at + 500_000)
    await readTo(end, at)
    incoming.discardBefore(end)
  }
  await feeding
  assert.ok(target.equals(bytes))
  assert.equal(await incoming.digest(), digestOf(bytes))
  const deadline = Date.now() + 60_000
  while ((await readdir(new Layout(path).partial)).length > 0) {
    assert.ok(Date.now() < deadline, 'the file is removed before the incoming is closed')
  }
  await incoming.close()
})

it('when readers are exactly at the end of a file that takes no more, new readers learn that its bytes are gone', async (t) => {
  const path = await folder(t)
  const store = await opened(t, { path, maxBytes: { bytes: 64 * MIB } })
  const bytes = randomBytes(2 * MIB)
  const incoming = await store.blobs.begin(wanted(digestOf(bytes)))
  await feed(incoming, bytes.subarray(0, MIB))
  await writtenTo(incoming, MIB)
  assert.equal(await incoming.reserve(128 * MIB), false)
  await incoming.digest()
  assert.equal(incoming.readableFrom, 0, 'the file still has the bytes')
  const target = Buffer.alloc(MIB)
  for (let at = 0; at < MIB; ) at += await incoming.read(target.subarray(at), at)
  assert.ok(target.equals(bytes.subarray(0, MIB)))
  incoming.discardBefore(MIB)
  assert.equal(incoming.readableFrom, MIB, 'the file was removed')
  await assert.rejects(incoming.read(Buffer.alloc(1), 0), { code: 'disk' })
  await feed(incoming, bytes.subarray(MIB))
  assert.equal(await incoming.digest(), digestOf(bytes))
  for (let at = MIB; at < 2 * MIB; ) at += await incoming.read(target.subarray(at - MIB), at)
  assert.ok(target.equals(bytes.subarray(MIB)))
  await incoming.close()
})

it('a small content that does not fit on a full disk is read from memory', async (t) => {
  const path = await smallDisk(t, 4 * MIB)
  if (path === undefined) return
  const store = await opened(t, { path })
  await writeFile(join(path, 'lost+found'), randomBytes(8 * MIB)).catch(() => {})
  const bytes = randomBytes(50_000)
  const incoming = await store.blobs.begin(wanted(digestOf(bytes)))
  await incoming.reserve(bytes.length)
  await feed(incoming, bytes)
  assert.equal(await incoming.commit(facts), false)
  assert.match(String(incoming.passThroughReason?.message), /no space left on device/)
  const target = Buffer.alloc(bytes.length)
  assert.equal(await incoming.read(target, 0), bytes.length)
  assert.deepEqual(target, bytes)
  await incoming.close()
  assert.deepEqual(await readdir(new Layout(path).partial), [])
  assert.equal(await store.blobs.open(digestOf(bytes)), undefined)
})

it('readers get all bytes when the folder for partials cannot be written', async (t) => {
  const path = await folder(t)
  const store = await opened(t, { path })
  const bytes = randomBytes(3 * MIB)
  const incoming = await store.blobs.begin(wanted(digestOf(bytes)))
  await rm(new Layout(path).partial, { recursive: true })
  await writeFile(new Layout(path).partial, 'not a folder')
  const reading = passOn(incoming, bytes.length)
  await feed(incoming, bytes)
  assert.ok((await reading).equals(bytes))
  assert.match(String(incoming.passThroughReason?.message), /cannot create a partial/)
  assert.equal(await incoming.commit(facts), false)
  await incoming.close()
})

it('a writer thread that dies fails its incoming contents, and the next one gets a new thread', async (t) => {
  const threads: Worker[] = []
  const remember = (thread: Worker): number => threads.push(thread)
  process.on('worker', remember)
  afterwards(t, () => process.off('worker', remember))
  const store = await opened(t, { path: await folder(t), writers: 1 })
  const incoming = await store.blobs.begin(wanted(digestOf(Buffer.from('x'))))
  await feed(incoming, randomBytes(MIB))
  await writtenTo(incoming, MIB)
  const failed = failureOf(incoming)
  assert.equal(threads.length, 1)
  await threads[0]?.terminate()
  assert.match((await failed).message, /writer thread has died/)
  await assert.rejects(incoming.digest(), { code: 'disk' })
  await assert.rejects(incoming.drained(), { code: 'disk' })
  await incoming.close()
  const bytes = randomBytes(3 * MIB)
  const digest = await keep(store.blobs, bytes)
  assert.deepEqual(await stored(store.blobs, digest), bytes)
  assert.equal(threads.length, 2)
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

it('wrong bytes go to the quarantine, which keeps only the latest few', async (t) => {
  const path = await folder(t)
  const store = await opened(t, { path })
  const incoming = await store.blobs.begin(wanted(digestOf(Buffer.from('x'))))
  for (let n = 0; n < 12; n++) {
    await feed(incoming, randomBytes(n % 2 === 0 ? 100 : 100_000))
    await incoming.restart()
  }
  await incoming.close()
  const kept = await readdir(new Layout(path).quarantine)
  assert.ok(kept.length > 0 && kept.length <= 8, `${kept.length}`)
})

it('after SIGKILL at any moment, acknowledged contents are stored and the unfinished one is resumed', async (t) => {
  const path = await folder(t)
  const large = blob('large', LARGE_BYTES)
  const program = fileURLToPath(new URL('../writing-child.js', import.meta.url))
  for (let round = 0; round < 3; round++) {
    const child = fork(program, [path, digestOf(large)], { cwd: tmpdir() })
    const acknowledged: Digest[] = []
    let written = 0
    const exited = once(child, 'exit')
    try {
      await new Promise<void>((resolve, reject) => {
        child.on('exit', (code) => reject(new Error(`the child has ended by itself (${code})`)))
        child.on('message', (message: { stored?: string; written?: number }) => {
          const digest = message.stored === undefined ? undefined : parseDigest(message.stored)
          if (digest !== undefined) acknowledged.push(digest)
          written = Math.max(written, message.written ?? 0)
          if (acknowledged.length >= 5 + round * 4 && written > 100_000) resolve()
        })
      })
    } finally {
      child.kill('SIGKILL')
      await exited
    }
    const store = await opened(t, { path })
    await store.recovered
    for (const digest of acknowledged) {
      const bytes = await stored(store.blobs, digest)
      assert.ok(bytes !== undefined && digestOf(bytes) === digest, 'acknowledged')
    }
    const incoming = await store.blobs.begin(wanted(digestOf(large)))
    assert.ok(incoming.position >= written, 'all bytes reported as written are in the file after SIGKILL')
    assert.equal(await incoming.digest(), digestOf(large.subarray(0, incoming.position)))
    await incoming.restart()
    await incoming.close()
    await store.close()
  }
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
