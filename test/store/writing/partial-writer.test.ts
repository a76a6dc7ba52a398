import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { it } from 'node:test'
import { openLanes } from '../../../src/lanes/lane-pool.ts'
import { Layout } from '../../../src/store/files/layout.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { feed, keep, passOn, stored, wanted, writtenTo } from '../../conformance/blob-steps.ts'
import { folder, opened, smallDisk } from '../folder.ts'

const facts = { mediaType: undefined, origin: 'upstream x', references: [], subject: undefined }
const MIB = 1024 * 1024

it('when the disk fills up during a transfer, readers get all bytes, and the partial is removed', async (t) => {
  const path = await smallDisk(t, 6 * MIB)
  if (path === undefined) return
  const store = await opened(t, { path, lanes: openLanes({ memoryBytes: 2 * MIB }) })
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
  const store = await opened(t, { path, lanes: openLanes({ memoryBytes: 2 * MIB }) })
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
