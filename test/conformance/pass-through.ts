import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type { BlobStore } from '../../src/ports/blob-store.ts'
import { checkpointsOf, digestOf } from '../../testkit/memory/digests.ts'
import { fc, runs } from '../../testkit/property-runs.ts'
import {
  FACTS,
  feed,
  fillUp,
  LIMIT_BYTES,
  MEMORY_BYTES,
  type OpenStore,
  passOn,
  stored,
  wanted,
  writtenTo,
} from './blob-steps.ts'

const TOO_LARGE = 1_000_000_000

/** What an incoming of every blob store does with bytes that cannot be stored. */
export function describePassThrough(name: string, open: OpenStore): void {
  describe(`${name} passes content through`, () => {
    let store: BlobStore
    let close: () => Promise<void>

    before(async () => {
      ;({ store, close } = await open({ memoryBytes: MEMORY_BYTES, limitBytes: LIMIT_BYTES }))
    })
    after(() => close())

    it('stores a blob that has room', async () => {
      const bytes = randomBytes(LIMIT_BYTES / 2)
      const incoming = await store.begin(wanted(digestOf(bytes)))
      assert.equal(await incoming.reserve(bytes.length), true)
      assert.equal(incoming.isStorable, true)
      assert.equal(incoming.passThroughReason, undefined)
      await feed(incoming, bytes)
      incoming.discardBefore(bytes.length)
      assert.equal(incoming.readableFrom, 0, 'what is kept is not forgotten')
      assert.equal(await incoming.commit(FACTS), true)
      await incoming.close()
      assert.deepEqual(await stored(store, digestOf(bytes)), bytes)
    })

    for (const size of [1, 65536, LIMIT_BYTES + 1, 3_000_001]) {
      it(`passes ${size} bytes without room through, hashed, and leaves nothing behind`, async () => {
        const bytes = randomBytes(size)
        const digest = digestOf(bytes)
        const incoming = await store.begin(wanted(digest))
        const reading = passOn(incoming, size)
        assert.equal(await incoming.reserve(TOO_LARGE), false)
        assert.equal(incoming.isStorable, false)
        assert.match(String(incoming.passThroughReason?.message), /room/)
        await incoming.reserve(size)
        await feed(incoming, bytes)
        assert.deepEqual(await reading, bytes)
        assert.equal(await incoming.digest(), digest)
        assert.equal(await incoming.commit(FACTS), false)
        assert.equal(await store.open(digest), undefined)
        await incoming.close()
        const again = await store.begin(wanted(digest))
        assert.equal(again.position, 0)
        await again.close()
      })
    }

    it('takes bytes before it is known whether they have room', async () => {
      for (const size of [100, 70_000, 3_000_000]) {
        const bytes = randomBytes(size)
        const incoming = await store.begin(wanted(digestOf(bytes)))
        const reserving = incoming.reserve(TOO_LARGE)
        const reading = passOn(incoming, size)
        await feed(incoming, bytes)
        assert.equal(await reserving, false)
        assert.deepEqual(await reading, bytes)
        assert.equal(await incoming.digest(), digestOf(bytes))
        assert.equal(await incoming.commit(FACTS), false)
        await incoming.close()
      }
    })

    it('becomes pass-through halfway, and still has all bytes for a reader', async () => {
      const bytes = randomBytes(2_000_000)
      const incoming = await store.begin(wanted(digestOf(bytes)))
      assert.equal(await incoming.reserve(LIMIT_BYTES), true)
      await feed(incoming, bytes.subarray(0, LIMIT_BYTES))
      assert.equal(await incoming.reserve(TOO_LARGE), false)
      const reading = passOn(incoming, bytes.length)
      await feed(incoming, bytes.subarray(LIMIT_BYTES))
      assert.deepEqual(await reading, bytes)
      assert.equal(await incoming.digest(), digestOf(bytes))
      assert.equal(await incoming.commit(FACTS), false)
      await incoming.close()
    })

    it('waits for its readers when its window is full, and continues when bytes are discarded', async () => {
      const bytes = randomBytes(20_000_000)
      const incoming = await store.begin(wanted(digestOf(bytes)))
      await incoming.reserve(bytes.length)
      const first = fillUp(incoming, bytes)
      assert.ok(first <= MEMORY_BYTES, `${first} bytes`)
      await writtenTo(incoming, first)
      let drained = false
      const drain = incoming.drained().then(() => {
        drained = true
      })
      await new Promise((resolve) => setImmediate(resolve))
      assert.equal(drained, false)
      const target = Buffer.alloc(first)
      for (let at = 0; at < first; ) at += await incoming.read(target.subarray(at), at)
      assert.deepEqual(target, bytes.subarray(0, first))
      assert.equal(incoming.readableFrom, 0)
      incoming.discardBefore(first)
      await drain
      assert.equal(incoming.readableFrom, first)
      await assert.rejects(async () => incoming.read(Buffer.alloc(1), 0), { code: 'disk' })
      assert.ok(fillUp(incoming, bytes) > 0)
      await incoming.close()
    })

    it('has room for the tail of a body, which nobody may read before all of it has come', async () => {
      const bytes = randomBytes(5_000_000)
      const others = await Promise.all(
        Array.from({ length: 5 }, async () => {
          const other = await store.begin(wanted(digestOf(randomBytes(10))))
          await other.reserve(bytes.length)
          return other
        }),
      )
      const incoming = await store.begin(wanted(digestOf(bytes)))
      await incoming.reserve(bytes.length)
      for (const other of others) fillUp(other, bytes)
      const gate = bytes.length - 65536
      const reading = passOn(incoming, gate)
      await feed(incoming, bytes, 40_001)
      assert.deepEqual(await reading, bytes.subarray(0, gate))
      assert.equal(await incoming.digest(), digestOf(bytes))
      const end = Buffer.alloc(65536)
      for (let at = 0; at < end.length; ) at += await incoming.read(end.subarray(at), gate + at)
      assert.deepEqual(end, bytes.subarray(gate))
      await Promise.all([incoming, ...others].map((each) => each.close()))
    })

    it('begins again with no bytes when a part is to be taken back', async () => {
      const bytes = randomBytes(LIMIT_BYTES - 1)
      const incoming = await store.begin(wanted(digestOf(bytes)))
      assert.equal(await incoming.reserve(TOO_LARGE), false)
      const reading = passOn(incoming, 300_000)
      await feed(incoming, randomBytes(300_000))
      await reading
      await incoming.truncate(65536)
      assert.equal(incoming.position, 0)
      assert.equal(incoming.readableFrom, 0)
      assert.equal(incoming.checkpoints.count, 0)
      assert.equal(incoming.isStorable, true)
      await feed(incoming, bytes)
      assert.equal(await incoming.digest(), digestOf(bytes))
      await incoming.close()
    })

    it('has checkpoints for bytes that are passed through', async () => {
      const bytes = randomBytes(3_000_000)
      const incoming = await store.begin(wanted(digestOf(bytes)))
      await incoming.reserve(TOO_LARGE)
      const reading = passOn(incoming, bytes.length)
      await feed(incoming, bytes)
      await reading
      assert.deepEqual(incoming.checkpoints.since(0), checkpointsOf(bytes))
      await incoming.close()
    })

    it('can be stored again after a restart', async () => {
      const bytes = randomBytes(LIMIT_BYTES - 1)
      const incoming = await store.begin(wanted(digestOf(bytes)))
      assert.equal(await incoming.reserve(TOO_LARGE), false)
      const reading = passOn(incoming, 300_000)
      await feed(incoming, randomBytes(300_000))
      await reading
      await incoming.restart()
      assert.equal(incoming.position, 0)
      assert.equal(incoming.readableFrom, 0)
      assert.equal(incoming.isStorable, true)
      assert.equal(await incoming.reserve(bytes.length), true)
      await feed(incoming, bytes)
      assert.equal(await incoming.commit(FACTS), true)
      await incoming.close()
      assert.deepEqual(await stored(store, digestOf(bytes)), bytes)
    })

    it('gives right bytes, however they come, are read and are discarded', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 1, max: 1_500_000 }),
          fc.option(fc.integer({ min: 1, max: LIMIT_BYTES })),
          fc.array(fc.integer({ min: 1, max: 120_000 }), { minLength: 1, maxLength: 20 }),
          async (size, keptFirst, cuts) => {
            const bytes = randomBytes(size)
            const incoming = await store.begin(wanted(digestOf(bytes)))
            try {
              if (keptFirst !== null) {
                await incoming.reserve(keptFirst)
                await feed(incoming, bytes.subarray(0, keptFirst))
              }
              const refused = incoming.reserve(TOO_LARGE)
              const reading = passOn(incoming, size)
              for (let turn = 0; incoming.position < size; turn++) {
                const cut = cuts[turn % cuts.length] ?? 1
                const { position } = incoming
                await feed(incoming, bytes.subarray(position, position + cut), cut)
              }
              assert.equal(await refused, false)
              assert.deepEqual(await reading, bytes)
              assert.equal(await incoming.digest(), digestOf(bytes))
            } finally {
              await incoming.close()
            }
          },
        ),
        runs(40),
      )
    })
  })
}
