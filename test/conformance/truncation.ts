import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type { BlobStore } from '../../src/ports/blob-store.ts'
import { checkpointsOf, digestOf } from '../../testkit/memory/digests.ts'
import { FACTS, feed, type OpenStore, stored, wanted, writtenTo } from './blob-steps.ts'

/** What an incoming of every blob store does when bytes are taken back. */
export function describeTruncation(name: string, open: OpenStore): void {
  describe(`${name} takes bytes back`, () => {
    let store: BlobStore
    let close: () => Promise<void>

    before(async () => {
      ;({ store, close } = await open())
    })
    after(() => close())

    for (const [kept, cut] of [
      [900_000, 196_608],
      [900_000, 851_968],
      [2_000_000, 524_288],
      [70_000, 65536],
      [20_000, 0],
      [900_000, 0],
    ] as const) {
      it(`takes back all but ${cut} of ${kept} bytes, and continues after them`, async () => {
        const bytes = randomBytes(1_300_000)
        const digest = digestOf(bytes)
        const incoming = await store.begin(wanted(digest))
        await incoming.reserve(bytes.length)
        const wrong = Buffer.alloc(kept)
        bytes.copy(wrong, 0, 0, cut)
        await feed(incoming, wrong)
        await incoming.truncate(cut)
        assert.equal(incoming.position, cut)
        assert.equal(incoming.written, cut)
        assert.deepEqual(incoming.checkpoints.since(0), checkpointsOf(bytes.subarray(0, cut)))
        const target = Buffer.alloc(cut)
        for (let at = 0; at < cut; ) at += await incoming.read(target.subarray(at), at)
        assert.deepEqual(target, bytes.subarray(0, cut))
        assert.equal(await incoming.read(Buffer.alloc(10), cut), 0)
        await feed(incoming, bytes.subarray(cut))
        assert.equal(await incoming.digest(), digest)
        assert.deepEqual(incoming.checkpoints.since(0), checkpointsOf(bytes))
        assert.equal(await incoming.commit(FACTS), true)
        await incoming.close()
        assert.deepEqual(await stored(store, digest), bytes)
      })
    }

    it('takes back bytes after those that an earlier incoming has left, and some of those', async () => {
      const bytes = randomBytes(9_500_000)
      const digest = digestOf(bytes)
      const first = await store.begin(wanted(digest))
      await feed(first, bytes.subarray(0, 9_000_000))
      await first.close()
      const second = await store.begin(wanted(digest))
      await feed(second, randomBytes(100_000))
      await second.truncate(8_978_432)
      assert.equal(second.position, 8_978_432)
      await second.truncate(8_978_432)
      await feed(second, randomBytes(100))
      await second.truncate(131_072)
      await feed(second, bytes.subarray(131_072))
      assert.equal(await second.digest(), digest)
      await second.close()
    })

    it('cuts only at a multiple of 64 KiB, and not after the last byte', async () => {
      const incoming = await store.begin(wanted(digestOf(randomBytes(10))))
      await feed(incoming, randomBytes(100_000))
      for (const position of [-65536, 1000, 131_072]) {
        await assert.rejects(incoming.truncate(position), RangeError)
      }
      assert.equal(incoming.position, 100_000)
      await incoming.close()
    })

    it('gives right bytes to those who read what stays while the rest is taken back', async () => {
      const bytes = randomBytes(9_000_000)
      const incoming = await store.begin(wanted(digestOf(bytes)))
      await feed(incoming, bytes)
      await writtenTo(incoming, bytes.length)
      const cut = 130 * 65536
      let reading = true
      const readers = Array.from({ length: 4 }, async (_, n) => {
        const target = Buffer.alloc(50_000)
        for (let at = n * 2_000_000; reading; at = (at + 77_777) % (cut - 50_000)) {
          const count = await incoming.read(target, at)
          assert.ok(count > 0, `nothing to read at ${at}`)
          assert.deepEqual(target.subarray(0, count), bytes.subarray(at, at + count))
          await new Promise((resolve) => setImmediate(resolve))
        }
      })
      await incoming.truncate(cut)
      await feed(incoming, bytes.subarray(cut))
      assert.equal(await incoming.digest(), digestOf(bytes))
      reading = false
      await Promise.all(readers)
      await incoming.close()
    })
  })
}
