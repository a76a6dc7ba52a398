import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type { Digest } from '../../src/oci/digest.ts'
import type { BlobStore } from '../../src/ports/blob-store.ts'
import { Failure } from '../../src/ports/failure.ts'
import { checkpointsOf, digestOf } from '../../testkit/memory/digests.ts'
import { FACTS, feed, keep, type OpenStore, readContent, stored, wanted } from './blob-steps.ts'

/** What every blob store does with blobs that are stored. */
export function describeStoredBlobs(name: string, open: OpenStore): void {
  describe(`${name} stores blobs`, () => {
    let store: BlobStore
    let close: () => Promise<void>

    before(async () => {
      ;({ store, close } = await open())
    })
    after(() => close())

    it('does not find a blob that was never stored', async () => {
      const digest = digestOf(Buffer.from('never'))
      assert.equal(await store.open(digest), undefined)
      assert.equal(await store.facts(digest), undefined)
    })

    for (const size of [0, 1, 65535, 65536, 65537, 3_000_001]) {
      it(`gives back ${size} bytes as they came`, async () => {
        const bytes = randomBytes(size)
        const earliest = Date.now()
        const digest = await keep(store, bytes)
        assert.deepEqual(await stored(store, digest), bytes)
        const known = await store.facts(digest)
        assert.equal(known?.size, size)
        assert.equal(known?.kind, 'blob')
        assert.equal(known?.mediaType, 'application/octet-stream')
        assert.equal(known?.origin, 'upstream x')
        assert.ok(known.storedAt >= earliest && known.lastUsedAt >= known.storedAt)
      })
    }

    it('stores a blob under a sha512 digest', async () => {
      const bytes = randomBytes(200_000)
      const digest = digestOf(bytes, 'sha512')
      const incoming = await store.begin(wanted(digest))
      await feed(incoming, bytes)
      assert.equal(await incoming.digest(), digest)
      await incoming.commit(FACTS)
      await incoming.close()
      assert.deepEqual(await stored(store, digest), bytes)
    })

    it('remembers that a blob is a manifest', async () => {
      const digest = await keep(store, Buffer.from('{"schemaVersion":2}'), 'manifest')
      assert.equal((await store.facts(digest))?.kind, 'manifest')
    })

    it('reads a blob from any position', async () => {
      const bytes = randomBytes(100_000)
      const content = await store.open(await keep(store, bytes))
      assert.ok(content)
      const target = Buffer.alloc(10)
      assert.equal(await content.read(target, 50_000), 10)
      assert.deepEqual(target, bytes.subarray(50_000, 50_010))
      assert.equal(await content.read(target, 99_995), 5)
      await content.close()
      await content.close()
    })

    it('says without a promise that stored bytes are readable', async () => {
      const content = await store.open(await keep(store, randomBytes(5000)))
      assert.equal(content?.readable(0, { signal: new AbortController().signal }), 5000)
      await content?.close()
    })

    it('lists the manifests that reference a digest, whether the digest is stored or not', async () => {
      const [layer, config, neither] = ['layer', 'config', 'neither'].map((text) =>
        digestOf(Buffer.from(text)),
      )
      assert.ok(layer && config && neither)
      const manifests: Digest[] = []
      for (const references of [[layer, config], [layer]]) {
        const bytes = randomBytes(100)
        manifests.push(digestOf(bytes))
        const incoming = await store.begin(wanted(digestOf(bytes), 'manifest'))
        try {
          await feed(incoming, bytes)
          await incoming.commit({ ...FACTS, references })
        } finally {
          await incoming.close()
        }
      }
      assert.deepEqual([...(await store.referencingManifests(layer, 10))].sort(), [...manifests].sort())
      assert.equal((await store.referencingManifests(layer, 1)).length, 1)
      assert.deepEqual(await store.referencingManifests(layer, 0), [])
      assert.deepEqual(await store.referencingManifests(config, 10), manifests.slice(0, 1))
      assert.deepEqual(await store.referencingManifests(neither, 10), [])
    })

    it('marks a blob as used when it is opened, but not when its facts are read', async () => {
      const digest = await keep(store, randomBytes(100))
      const before = (await store.facts(digest))?.lastUsedAt ?? Number.NaN
      while (Date.now() <= before) await new Promise((resolve) => setImmediate(resolve))
      assert.equal((await store.facts(digest))?.lastUsedAt, before)
      await (await store.open(digest))?.close()
      assert.ok(((await store.facts(digest))?.lastUsedAt ?? 0) > before)
    })

    it('marks a stored blob as used when told so, and ignores one that is not stored', async () => {
      const digest = await keep(store, randomBytes(100))
      const before = (await store.facts(digest))?.lastUsedAt ?? Number.NaN
      while (Date.now() <= before) await new Promise((resolve) => setImmediate(resolve))
      store.touch(digest)
      assert.ok(((await store.facts(digest))?.lastUsedAt ?? 0) > before)
      const absent = digestOf(randomBytes(10))
      store.touch(absent)
      assert.equal(await store.facts(absent), undefined)
    })

    it('does not find a blob before it is committed', async () => {
      const bytes = randomBytes(300_000)
      const digest = digestOf(bytes)
      const incoming = await store.begin(wanted(digest))
      await feed(incoming, bytes)
      await incoming.digest()
      assert.equal(await store.open(digest), undefined)
      assert.equal(await store.facts(digest), undefined)
      await incoming.commit(FACTS)
      assert.deepEqual(await stored(store, digest), bytes)
      await incoming.close()
    })

    for (const size of [20_000, 2_000_000]) {
      it(`refuses to commit ${size} bytes that do not have the wanted digest`, async () => {
        const bytes = randomBytes(size)
        const digest = digestOf(bytes)
        const wrong = Buffer.from(bytes)
        wrong[size - 1] = (wrong[size - 1] ?? 0) ^ 1
        const incoming = await store.begin(wanted(digest))
        await feed(incoming, wrong)
        assert.equal(await incoming.digest(), digestOf(wrong))
        await assert.rejects(
          incoming.commit(FACTS),
          (error) => error instanceof Failure && error.code === 'corrupt',
        )
        assert.equal(await store.open(digest), undefined)
        await incoming.restart()
        assert.equal(incoming.position, 0)
        assert.equal(incoming.written, 0)
        await feed(incoming, bytes)
        assert.equal(await incoming.digest(), digest)
        await incoming.commit(FACTS)
        await incoming.close()
        assert.deepEqual(await stored(store, digest), bytes)
      })
    }

    it('remembers the checkpoints of a stored blob of more than 64 KiB', async () => {
      const small = await keep(store, randomBytes(65536))
      assert.equal(await store.checkpoints(small), undefined)
      const bytes = randomBytes(300_000)
      const digest = await keep(store, bytes)
      assert.deepEqual(Uint8Array.from((await store.checkpoints(digest)) ?? []), checkpointsOf(bytes))
      assert.equal(await store.checkpoints(digestOf(randomBytes(10))), undefined)
    })

    it('takes a blob again that is stored already', async () => {
      const bytes = randomBytes(150_000)
      const digest = await keep(store, bytes)
      const reader = await store.open(digest)
      assert.ok(reader)
      await keep(store, bytes)
      assert.deepEqual(await readContent(reader), bytes)
      await reader.close()
      assert.deepEqual(await stored(store, digest), bytes)
    })
  })
}
