import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Digest, hexOf } from '../../../../src/oci/digest.ts'
import type { Repository } from '../../../../src/oci/names/repository.ts'
import { ResilientLevel } from '../../../../src/store/database/resilient-level.ts'
import { BlobIndex } from '../../../../src/store/index/blob-index.ts'
import type { Store } from '../../../../src/store/store.ts'
import { digestOf } from '../../../../testkit/memory/digests.ts'
import { fc, runs } from '../../../../testkit/property-runs.ts'
import { keep, wanted } from '../../../conformance/blob-steps.ts'
import { folder, opened, published } from '../../folder.ts'
import { listed, tick } from '../../stored-blobs.ts'

const { signal } = new AbortController()
const APP: Repository = { registry: 'localhost', name: 'team/app' }
const OTHER: Repository = { registry: 'localhost', name: 'team/other' }

function link(store: Store, digest: Digest, repository = APP): Promise<boolean> {
  return store.hosted.link(digest, { repository, kind: 'blob', mediaType: undefined, tags: [] })
}

test('a linked blob is neither evicted nor removed until its last link is gone', async (t) => {
  const store = await opened(t, { path: await folder(t), maxBytes: { bytes: 1_000_000 } })
  const linked = await keep(store.blobs, randomBytes(100_000))
  await tick()
  const cached = await keep(store.blobs, randomBytes(100_000))
  assert.equal(await link(store, linked), true)
  assert.equal(await link(store, linked, OTHER), true)
  assert.deepEqual(await store.gc({ toBytes: 0, signal }), { blobs: 1, bytes: 100_000 })
  assert.deepEqual(await listed(store), [linked])
  assert.equal(await store.blobs.facts(cached), undefined)
  assert.equal(await store.remove(linked), false)
  assert.equal(await store.hosted.catalog.removeLink(APP, linked), true)
  assert.equal(await store.remove(linked), false)
  assert.equal(await store.hosted.catalog.removeLink(OTHER, linked), true)
  assert.deepEqual(await store.gc({ toBytes: 0, signal }), { blobs: 1, bytes: 100_000 })
})

test('room that linked blobs take cannot be had', async (t) => {
  const store = await opened(t, { path: await folder(t), maxBytes: { bytes: 1_000_000 } })
  const linked = await keep(store.blobs, randomBytes(600_000))
  await link(store, linked)
  // A blob that is pinned, too, must not count twice.
  await store.pin(linked)
  for (const [size, isGranted] of [
    [600_000, false],
    [300_000, true],
  ] as const) {
    const incoming = await store.blobs.begin(wanted(digestOf(randomBytes(4))))
    assert.equal(await incoming.reserve(size), isGranted)
    await incoming.close()
  }
})

test('a content that is not stored is not linked', async (t) => {
  const store = await opened(t, { path: await folder(t) })
  assert.equal(await link(store, digestOf(randomBytes(4))), false)
  assert.deepEqual(await store.hosted.catalog.repositories(), [])
})

test('links survive a restart, and content that is missing then is told', async (t) => {
  const path = await folder(t)
  const first = await opened(t, { path, maxBytes: { bytes: 1_000_000 } })
  const [kept, lost] = [await keep(first.blobs, randomBytes(10)), await keep(first.blobs, randomBytes(10))]
  for (const digest of [kept, lost]) await link(first, digest)
  await first.close()
  await rm(join(path, 'blobs', 'sha256', hexOf(lost).slice(0, 2), hexOf(lost)))
  const told = published(t, 'hosted.lost')
  const store = await opened(t, { path, maxBytes: { bytes: 1_000_000 } })
  assert.deepEqual(told, [{ digest: lost, repositories: [APP] }])
  await store.gc({ toBytes: 0, signal })
  assert.deepEqual(await listed(store), [kept])
  assert.equal(await store.hosted.catalog.link(APP, lost), undefined)
  assert.deepEqual(await store.hosted.catalog.filterLinked(APP, [lost, kept]), [kept])
})

test('an eviction at any moment of a link leaves either both or neither', async (t) => {
  const store = await opened(t, { path: await folder(t), maxBytes: { bytes: 1_000_000 } })
  // Without any link, the index is not asked for links.
  await link(store, await keep(store.blobs, randomBytes(8)), OTHER)
  let won = 0
  for (let round = 0; round < 40; round++) {
    const digest = await keep(store.blobs, randomBytes(8))
    const evicting = store.gc({ toBytes: 0, signal })
    for (let turn = 0; turn < round * 4; turn++) await new Promise((resolve) => setImmediate(resolve))
    const isLinked = await link(store, digest)
    await evicting
    assert.equal((await store.blobs.facts(digest)) !== undefined, isLinked, `after ${round} turns`)
    if (isLinked) won += 1
    await store.hosted.catalog.removeLink(APP, digest)
  }
  t.diagnostic(`${won} of 40 links were in time`)
})

test('the sum of linked bytes is that of the linked entries, whatever happens in whatever order', async (t) => {
  const digests = [1, 2, 3].map((n) => digestOf(Buffer.from([n])))
  const digest = fc.constantFrom(...digests)
  const repository = fc.constantFrom(APP, OTHER)
  const step = fc.oneof(
    fc.record({ do: fc.constant('put' as const), digest, size: fc.integer({ min: 0, max: 9 }) }),
    fc.record({
      do: fc.constant('put-linked' as const),
      digest,
      repository,
      size: fc.integer({ min: 0, max: 9 }),
    }),
    fc.record({ do: fc.constant('link' as const), digest, repository }),
    fc.record({ do: fc.constant('unlink' as const), digest, repository }),
    fc.record({ do: fc.constant('lose' as const), digest }),
    fc.record({ do: fc.constant('load' as const) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const level = new ResilientLevel(await folder(t))
      await level.open()
      const index = new BlobIndex(level)
      const made = { kind: 'blob', mediaType: undefined, tags: [] } as const
      try {
        // All steps of a digest at once: they take turns.
        await Promise.all(
          steps.map(async (each) => {
            if (each.do === 'link')
              await index.links.make(each.digest, { ...made, repository: each.repository })
            else if (each.do === 'unlink') await index.links.remove(each.repository, each.digest, [])
            else if (each.do === 'lose') await index.remove(each.digest)
            else if (each.do !== 'load') {
              const { digest, size } = each
              const entry = {
                digest,
                size,
                kind: 'blob',
                mediaType: undefined,
                storedAt: 1,
                origin: 'x',
              } as const
              const given = each.do === 'put-linked' ? { link: { ...made, repository: each.repository } } : {}
              await index.put(entry, { references: [], subject: undefined, repository: undefined, ...given })
            }
          }),
        )
        const counted = index.links.bytes
        await index.links.load(
          async (all) => (await index.getMany(all)).map((entry) => entry?.size),
          () => {},
        )
        assert.equal(counted, index.links.bytes)
      } finally {
        await level.close()
      }
    }),
    runs(40),
  )
})
