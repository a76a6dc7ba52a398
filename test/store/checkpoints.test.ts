import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { truncate } from 'node:fs/promises'
import { it } from 'node:test'
import { Level } from 'level'
import type { Digest } from '../../src/oci/digest.ts'
import { Layout } from '../../src/store/files/layout.ts'
import { openStore } from '../../src/store/open.ts'
import { checkpointsOf, digestOf } from '../../testkit/memory/digests.ts'
import { feed, keep, passOn, stored, wanted, writtenTo } from '../conformance/blob-steps.ts'
import { folder, opened, smallDisk } from './folder.ts'

const MIB = 1024 * 1024
const facts = { mediaType: undefined, origin: 'x', references: [], subject: undefined }

/** Digests that the index of a closed store has checkpoints of. */
async function digestsWithCheckpoints(path: string): Promise<string[]> {
  const level = new Level(new Layout(path).index)
  try {
    const keys = await level.keys({ gt: 'marks!', lt: 'marks"' }).all()
    return keys.map((key) => key.slice('marks!'.length))
  } finally {
    await level.close()
  }
}

it('checkpoints are stored with their blob and removed with it', async (t) => {
  const path = await folder(t)
  const first = await openStore({ path })
  const digests: Digest[] = []
  const blobs = [200_000, 300_000, 400_000].map((size) => randomBytes(size))
  for (const bytes of blobs) digests.push(await keep(first.blobs, bytes))
  await first.close()
  assert.deepEqual(await digestsWithCheckpoints(path), [...digests].sort())
  const [removed, lost, left] = digests as [Digest, Digest, Digest]
  await truncate(new Layout(path).blob(lost), 10)

  const second = await openStore({ path })
  assert.equal(await second.remove(removed), true)
  assert.equal(await second.blobs.open(lost), undefined)
  const checkpoints = (await second.blobs.checkpoints(left)) ?? new Uint8Array()
  assert.deepEqual(Buffer.from(checkpoints), Buffer.from(checkpointsOf(blobs[2] ?? Buffer.alloc(0))))
  assert.equal(await second.blobs.checkpoints(removed), undefined)
  await second.close()
  assert.deepEqual(await digestsWithCheckpoints(path), [left])
})

it('cutting an incoming content after its disk became full restarts it', async (t) => {
  const path = await smallDisk(t, 6 * MIB)
  if (path === undefined) return
  const store = await opened(t, { path, memoryBytes: 2 * MIB })
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
  const store = await opened(t, { path: await folder(t), memoryBytes: MIB })
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
