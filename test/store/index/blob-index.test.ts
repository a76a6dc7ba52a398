import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { truncate } from 'node:fs/promises'
import { it } from 'node:test'
import { Level } from 'level'
import type { Digest } from '../../../src/oci/digest.ts'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import { Layout } from '../../../src/store/files/layout.ts'
import { BlobIndex } from '../../../src/store/index/blob-index.ts'
import { checkpointsOf, digestOf } from '../../../testkit/memory/digests.ts'
import { feed, keep, stored, wanted } from '../../conformance/blob-steps.ts'
import { all, folder, opened, openStore } from '../folder.ts'
import { filled } from '../left-files.ts'

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

it('stored blobs are there after a restart, with all facts', async (t) => {
  const path = await folder(t)
  const bytes = randomBytes(300_000)
  const first = await openStore({ path })
  const child = digestOf(Buffer.from('child'))
  const subject = digestOf(Buffer.from('subject'))
  const incoming = await first.blobs.begin(wanted(digestOf(bytes), 'manifest'))
  await feed(incoming, bytes)
  await incoming.commit({ mediaType: OCI_MANIFEST, origin: 'upstream x', references: [child], subject })
  await incoming.close()
  const before = await first.blobs.facts(digestOf(bytes))
  await first.close()
  const second = await opened(t, { path })
  assert.deepEqual(await second.blobs.facts(digestOf(bytes)), before)
  assert.deepEqual(await stored(second.blobs, digestOf(bytes)), bytes)
  assert.deepEqual(await second.references(digestOf(bytes)), [child])
  assert.deepEqual(await second.referrersOf(subject), [digestOf(bytes)])
  assert.deepEqual(await second.repositoriesOf(digestOf(bytes)), [
    { registry: 'docker.io', name: 'library/alpine' },
  ])
})

it('usage and list agree with the stored blobs after stores, replacements and a restart', async (t) => {
  const path = await folder(t)
  const blobs = [randomBytes(100), randomBytes(70_000), randomBytes(5)]
  const digests = await filled(path, ...blobs, blobs[0] ?? Buffer.alloc(0))
  const store = await opened(t, { path })
  assert.deepEqual(store.usage(), { bytes: 70_105, blobs: 3 })
  const listed = (await all(store.list())).map(({ digest }) => digest)
  assert.deepEqual(listed, [...new Set(digests)].sort())
  await keep(store.blobs, randomBytes(10))
  assert.deepEqual(store.usage(), { bytes: 70_115, blobs: 4 })
})

it('what is not stored is not looked up in the index, and what is stored or was just removed is found', async (t) => {
  const path = await folder(t)
  const [stays, goes] = [randomBytes(100), randomBytes(70_000)]
  await filled(path, stays, goes)
  const level = new Level<string, string>(new Layout(path).index)
  t.after(() => level.close())
  const index = new BlobIndex(level)
  const looked: string[] = []
  const get = level.get.bind(level)
  level.get = (key: string) => {
    looked.push(key)
    return get(key)
  }
  for (const prefix of await index.prefixes('sha256')) await index.entriesUnder(`sha256:${prefix}`)
  index.allRead()
  assert.equal(await index.get(digestOf(Buffer.from('never stored'))), undefined)
  assert.deepEqual(looked, [])
  await index.removeAll([digestOf(goes)])
  assert.equal((await index.get(digestOf(stays)))?.size, 100)
  assert.equal(await index.get(digestOf(goes)), undefined)
  const later = digestOf(Buffer.from('later'))
  const facts = { size: 5, kind: 'blob', mediaType: undefined, origin: 'x', storedAt: 1 } as const
  await index.put({ digest: later, ...facts }, { references: [], subject: undefined, repository: undefined })
  assert.equal((await index.getMany([later]))[0]?.size, 5)
})

it('the last use of a blob is known after a restart', async (t) => {
  const path = await folder(t)
  const [digest] = await filled(path, randomBytes(10))
  assert.ok(digest)
  const first = await openStore({ path })
  const { storedAt } = (await first.blobs.facts(digest)) ?? { storedAt: 0 }
  while (Date.now() <= storedAt) await new Promise((resolve) => setImmediate(resolve))
  await (await first.blobs.open(digest))?.close()
  const used = (await first.blobs.facts(digest))?.lastUsedAt
  assert.ok(used !== undefined && used > storedAt)
  await first.close()
  const second = await opened(t, { path })
  assert.equal((await second.blobs.facts(digest))?.lastUsedAt, used)
  assert.equal((await all(second.list()))[0]?.lastUsedAt, used)
})

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
