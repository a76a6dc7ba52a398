import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type { BlobStore } from '../../src/ports/blob-store.ts'
import { Failure } from '../../src/ports/failure.ts'
import { checkpointsOf, digestOf } from '../../testkit/memory/digests.ts'
import { fc, runs } from '../../testkit/property-runs.ts'
import { FACTS, feed, type OpenStore, stored, wanted, writtenTo } from './blob-steps.ts'

/** What an incoming of every blob store does with bytes that can be stored. */
export function describeIncoming(name: string, open: OpenStore): void {
  describe(`${name} takes incoming bytes`, () => {
    let store: BlobStore
    let close: () => Promise<void>

    before(async () => {
      ;({ store, close } = await open())
    })
    after(() => close())

    it('lets written bytes be read while more are on their way', async () => {
      const bytes = randomBytes(1_500_000)
      const incoming = await store.begin(wanted(digestOf(bytes)))
      try {
        for (const end of [10, 70_000, 400_000, 1_500_000]) {
          const start = incoming.position
          await feed(incoming, bytes.subarray(start, end))
          assert.equal(incoming.position, end)
          await writtenTo(incoming, end)
          assert.equal(incoming.written, end)
          const target = Buffer.alloc(end)
          let at = 0
          while (at < end) at += await incoming.read(target.subarray(at), at)
          assert.deepEqual(target, bytes.subarray(0, end))
          assert.equal(await incoming.read(Buffer.alloc(10), end), 0)
        }
      } finally {
        await incoming.close()
      }
    })

    for (const size of [20_000, 2_000_000]) {
      it(`lets an incoming of ${size} bytes be read after its commit`, async () => {
        const bytes = randomBytes(size)
        const incoming = await store.begin(wanted(digestOf(bytes)))
        await feed(incoming, bytes)
        await incoming.commit(FACTS)
        const target = Buffer.alloc(1000)
        assert.equal(await incoming.read(target, size - 1000), 1000)
        assert.deepEqual(target, bytes.subarray(size - 1000))
        await incoming.close()
        await incoming.close()
      })
    }

    it('gives the digest of the bytes so far as often as asked', async () => {
      const bytes = randomBytes(900_000)
      const incoming = await store.begin(wanted(digestOf(bytes)))
      await feed(incoming, bytes.subarray(0, 500_000))
      assert.equal(await incoming.digest(), digestOf(bytes.subarray(0, 500_000)))
      await feed(incoming, bytes.subarray(500_000))
      assert.equal(await incoming.digest(), digestOf(bytes))
      assert.equal(await incoming.digest(), digestOf(bytes))
      await incoming.close()
    })

    it('continues after the bytes that an earlier incoming has left', async () => {
      const bytes = randomBytes(2_500_000)
      const digest = digestOf(bytes)
      const first = await store.begin(wanted(digest))
      await feed(first, bytes.subarray(0, 1_300_000))
      await first.close()
      const second = await store.begin(wanted(digest))
      assert.equal(second.position, 1_300_000)
      await feed(second, bytes.subarray(1_300_000))
      assert.equal(await second.digest(), digest)
      await second.commit(FACTS)
      await second.close()
      assert.deepEqual(await stored(store, digest), bytes)
    })

    it('has a checkpoint for every 64 KiB, in whatever parts the bytes come', async () => {
      const bytes = randomBytes(1_000_000)
      const incoming = await store.begin(wanted(digestOf(bytes)))
      await feed(incoming, bytes.subarray(0, 70_000), 1000)
      await writtenTo(incoming, 70_000)
      assert.deepEqual(incoming.checkpoints.since(0), checkpointsOf(bytes.subarray(0, 70_000)))
      await feed(incoming, bytes.subarray(70_000), 100_003)
      await writtenTo(incoming, bytes.length)
      assert.deepEqual(incoming.checkpoints.since(0), checkpointsOf(bytes))
      await incoming.restart()
      assert.equal(incoming.checkpoints.count, 0)
      await feed(incoming, bytes)
      await writtenTo(incoming, bytes.length)
      assert.deepEqual(incoming.checkpoints.since(0), checkpointsOf(bytes))
      await incoming.close()
    })

    it('has checkpoints for the bytes that an earlier incoming has left', async () => {
      const bytes = randomBytes(10_000_000)
      const digest = digestOf(bytes, 'sha512')
      const first = await store.begin(wanted(digest))
      await feed(first, bytes.subarray(0, 9_000_001))
      await first.close()
      const second = await store.begin(wanted(digest))
      await feed(second, bytes.subarray(9_000_001))
      assert.equal(await second.digest(), digest)
      assert.deepEqual(second.checkpoints.since(0), checkpointsOf(bytes, 'sha512'))
      await second.close()
    })

    it('leaves no wrong bytes for the next incoming after a restart', async () => {
      const digest = digestOf(randomBytes(10))
      const first = await store.begin(wanted(digest))
      await feed(first, randomBytes(500_000))
      await first.restart()
      await first.close()
      const second = await store.begin(wanted(digest))
      assert.equal(second.position, 0)
      await second.close()
    })

    it('has one incoming at a time for a digest', async () => {
      const digest = digestOf(randomBytes(10))
      const first = await store.begin(wanted(digest))
      await assert.rejects(
        store.begin(wanted(digest)),
        (error) => error instanceof Failure && error.code === 'disk',
      )
      await first.close()
      await (await store.begin(wanted(digest))).close()
    })

    it('lends the same memory until it is filled', async () => {
      const incoming = await store.begin(wanted(digestOf(randomBytes(10))))
      await feed(incoming, randomBytes(100_000))
      const first = incoming.buffer()
      await incoming.digest()
      const second = incoming.buffer()
      assert.equal(first.buffer, second.buffer)
      assert.equal(first.byteOffset, second.byteOffset)
      assert.equal(first.length, second.length)
      await incoming.close()
    })

    it('hashes and stores many incomings at a time, however their bytes are cut and interleaved', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.array(fc.tuple(fc.integer({ min: 16, max: 300_000 }), fc.boolean()), {
              minLength: 1,
              maxLength: 6,
            }),
            { minLength: 1, maxLength: 5 },
          ),
          async (plans) => {
            const flows = await Promise.all(
              plans.map(async (cuts) => {
                const bytes = randomBytes(cuts.reduce((sum, [length]) => sum + length, 0))
                const incoming = await store.begin(wanted(digestOf(bytes)))
                return { bytes, cuts: cuts.slice(), incoming }
              }),
            )
            try {
              for (let left = true; left; ) {
                left = false
                for (const { bytes, cuts, incoming } of flows) {
                  const cut = cuts.shift()
                  if (cut === undefined) continue
                  left = true
                  const start = incoming.position
                  await feed(incoming, bytes.subarray(start, start + cut[0]), 100_000)
                  if (cut[1]) await writtenTo(incoming, incoming.position)
                }
              }
              for (const { bytes, incoming } of flows) {
                assert.equal(await incoming.digest(), digestOf(bytes))
                await incoming.commit(FACTS)
                assert.deepEqual(await stored(store, digestOf(bytes)), bytes)
              }
            } finally {
              await Promise.all(flows.map(({ incoming }) => incoming.close()))
            }
          },
        ),
        runs(15),
      )
    })
  })
}
