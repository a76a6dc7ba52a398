import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import type { Digest } from '../../../src/oci/digest.ts'
import {
  type BudgetedStore,
  DiskBudget,
  type DiskLimit,
  type PartialSizes,
} from '../../../src/store/space/disk-budget.ts'
import { digestOf } from '../../../testkit/memory/memory-store.ts'

const name = (text: string | number): Digest => digestOf(Buffer.from(String(text)))
const { signal } = new AbortController()

/** A store as numbers: blobs are evicted in the order of the list. */
class SimulatedStore implements BudgetedStore {
  blobs: number[]
  heldBytes = 0
  total = 1e9
  /** Bytes of the filesystem that other programs use. */
  otherBytes = 0
  quarantine = 0
  partials: PartialSizes = new Map()
  evictions = 0
  /** The filesystem reports the space of removed files as still used. */
  isLate = false
  failure: Error | undefined
  readonly #initialBytes: number

  constructor(blobs: number[]) {
    this.blobs = blobs
    this.#initialBytes = this.storedBytes()
  }

  storedBytes(): number {
    return this.heldBytes + this.blobs.reduce((sum, size) => sum + size, 0)
  }

  async unevictableBytes(): Promise<number> {
    return this.heldBytes
  }

  async measure() {
    const { total, quarantine, partials } = this
    return {
      totalBytes: total,
      freeBytes: total - this.otherBytes - (this.isLate ? this.#initialBytes : this.storedBytes()),
      quarantineBytes: quarantine,
      partials,
    }
  }

  async evict(bytes: number) {
    if (this.failure !== undefined) throw this.failure
    this.evictions += 1
    const gone = { blobs: 0, bytes: 0 }
    while (gone.bytes < bytes && gone.blobs < 4 && this.blobs.length > 0) {
      gone.blobs += 1
      gone.bytes += this.blobs.shift() ?? 0
    }
    return gone
  }
}

function budgetOn(store: SimulatedStore, limit: DiskLimit | undefined): DiskBudget {
  return new DiskBudget({ store, limit })
}

it('without a limit everything is granted, and nothing goes', async () => {
  const store = new SimulatedStore([10, 10])
  const room = budgetOn(store, undefined)
  assert.equal((await room.reserve(name('a'), 1e15))?.bytes, 1e15)
  assert.equal(room.limitBytes, undefined)
  assert.deepEqual(await room.collect({ signal }), { blobs: 0, bytes: 0 })
  assert.equal(store.evictions, 0)
})

it('nothing goes before the high mark is crossed; then it goes down to the low mark', async () => {
  const store = new SimulatedStore(Array.from({ length: 95 }, () => 10))
  const room = budgetOn(store, { bytes: 1000 })
  assert.ok(await room.reserve(name('a'), 50))
  assert.equal(store.evictions, 0)
  assert.ok(await room.reserve(name('b'), 1))
  await room.collect({ signal })
  assert.equal(store.storedBytes() + 51, 891)
})

it('what is larger than the limit is refused at once, and nothing goes for it', async () => {
  const store = new SimulatedStore([100, 100])
  const room = budgetOn(store, { bytes: 1000 })
  assert.equal(await room.reserve(name('a'), 1001), undefined)
  assert.equal(store.storedBytes(), 200)
  assert.ok(await room.reserve(name('a'), 1000))
  assert.equal(store.storedBytes(), 0)
})

it('for what something may come to nothing goes, but where there never could be room there is none now', async () => {
  const store = new SimulatedStore([300, 300])
  const room = budgetOn(store, { bytes: 1000 })
  assert.equal((await room.reserve(name('a'), 100, 1000))?.bytes, 100)
  assert.equal(store.storedBytes(), 600)
  assert.equal((await room.reserve(name('a'), 350, 1000))?.bytes, 350)
  assert.equal(store.storedBytes(), 600)
  assert.equal(await room.reserve(name('b'), 100, 1001), undefined)
  assert.equal(store.storedBytes(), 600)
  assert.equal((await room.reserve(name('a'), 1000, 1000))?.bytes, 1000)
  assert.equal(store.storedBytes(), 0)
})

it('what would not fit if everything went that can go is refused, and nothing goes for it', async () => {
  const store = new SimulatedStore([300])
  store.heldBytes = 500
  const room = budgetOn(store, { bytes: 1000 })
  assert.equal(await room.reserve(name('a'), 501), undefined)
  assert.equal(store.storedBytes(), 800)
  assert.ok(await room.reserve(name('b'), 450))
  assert.equal(await room.reserve(name('c'), 60), undefined)
  assert.equal(store.storedBytes(), 500)
})

it('partials, quarantine and what is reserved count', async () => {
  const store = new SimulatedStore([])
  store.quarantine = 100
  store.partials = new Map([[name('left'), { bytes: 200, at: 1 }]])
  const room = budgetOn(store, { bytes: 1000 })
  const first = await room.reserve(name('a'), 600)
  assert.ok(first)
  assert.equal(await room.reserve(name('b'), 101), undefined)
  assert.ok(await room.reserve(name('c'), 100))
  first.release()
  first.release()
  assert.ok(await room.reserve(name('d'), 600))
  assert.equal(await room.reserve(name('e'), 1), undefined)
})

it('a partial that is gone on with counts once, as what is reserved for it', async () => {
  const store = new SimulatedStore([])
  store.partials = new Map([[name('a'), { bytes: 900, at: 1 }]])
  const room = budgetOn(store, { bytes: 1000 })
  assert.ok(await room.reserve(name('a'), 1000))
})

it('a reservation grows when it is asked for again, and is given back whole', async () => {
  const store = new SimulatedStore([])
  const room = budgetOn(store, { bytes: 1000 })
  const first = await room.reserve(name('a'), 100)
  const grown = await room.reserve(name('a'), 400)
  assert.equal(grown?.bytes, 400)
  assert.equal((await room.reserve(name('a'), 300))?.bytes, 400)
  assert.equal(await room.reserve(name('a'), 1001), undefined)
  assert.equal(first?.bytes, 400, 'a refusal takes nothing away')
  assert.ok(await room.reserve(name('b'), 600))
  first.release()
  assert.ok(await room.reserve(name('c'), 400))
})

it('many who ask at once are served by one eviction, in the order of asking', async () => {
  const store = new SimulatedStore(Array.from({ length: 100 }, () => 10))
  const room = budgetOn(store, { bytes: 1000 })
  const granted: number[] = []
  const all = Array.from({ length: 40 }, async (_, n) => {
    if (await room.reserve(name(n), 20)) granted.push(n)
  })
  await Promise.all(all)
  assert.deepEqual(
    granted,
    Array.from({ length: 40 }, (_, n) => n),
  )
  await room.collect({ signal })
  assert.equal(store.storedBytes() + 40 * 20, 900, 'no more has gone than it takes')
  assert.ok(store.evictions <= 25)
})

it('the free space of the filesystem is a limit too', async () => {
  const store = new SimulatedStore([1000, 1000, 1000])
  store.total = 100_000
  store.otherBytes = 95_000
  const room = budgetOn(store, { bytes: 50_000 })
  assert.equal(await room.reserve(name('a'), 4001), undefined, 'a hundredth stays free')
  assert.equal(store.storedBytes(), 3000)
  assert.ok(await room.reserve(name('b'), 2000))
  assert.equal(store.storedBytes(), 2000)
})

it('what was released may have been written since the disk was looked at', async () => {
  const store = new SimulatedStore([])
  store.total = 100_000
  store.otherBytes = 95_000
  const room = budgetOn(store, { bytes: 50_000 })
  const first = await room.reserve(name('a'), 3000)
  store.heldBytes = 3000
  first?.release()
  assert.equal(await room.reserve(name('b'), 3000), undefined)
})

it('a filesystem that gives room back late is not emptied meanwhile', async () => {
  const store = new SimulatedStore(Array.from({ length: 100 }, () => 100))
  store.total = 100_000
  store.otherBytes = 89_000
  store.isLate = true
  const room = budgetOn(store, { bytes: 50_000 })
  assert.equal(await room.reserve(name('a'), 1000), undefined)
  assert.equal(store.storedBytes(), 9000)
})

it('a percentage is taken of the whole filesystem, and follows it', async () => {
  const store = new SimulatedStore(Array.from({ length: 60 }, () => 10))
  store.total = 2000
  const room = budgetOn(store, { percent: 50 })
  assert.equal(room.limitBytes, undefined)
  await room.check()
  assert.equal(room.limitBytes, 1000)
  store.total = 1000
  assert.equal(await room.reserve(name('x'), 501), undefined)
  assert.equal(room.limitBytes, 500)
  await room.collect({ signal })
  assert.equal(store.storedBytes(), 450)
})

it('gc goes down to the low mark, or to what it is told', async () => {
  const store = new SimulatedStore(Array.from({ length: 95 }, () => 10))
  const room = budgetOn(store, { bytes: 1000 })
  assert.deepEqual(await room.collect({ signal }), { blobs: 5, bytes: 50 })
  assert.deepEqual(await room.collect({ signal }), { blobs: 0, bytes: 0 })
  assert.deepEqual(await room.collect({ signal, toBytes: 0 }), { blobs: 90, bytes: 900 })
  await assert.rejects(room.collect({ signal: AbortSignal.abort(new Error('enough')), toBytes: 0 }), /enough/)
})

it('a disk that cannot be cleared grants nothing more, and gc says why', async () => {
  const store = new SimulatedStore([10, 10])
  store.failure = new Error('read-only')
  const room = budgetOn(store, { bytes: 20 })
  assert.equal(await room.reserve(name('a'), 5), undefined)
  await assert.rejects(room.collect({ signal, toBytes: 0 }), /read-only/)
  store.failure = undefined
  assert.ok(await room.reserve(name('a'), 5))
})

it('whoever waits when it is stopped gets nothing', async () => {
  const store = new SimulatedStore([10, 10])
  const room = budgetOn(store, { bytes: 20 })
  const waiting = room.reserve(name('a'), 5)
  await room.stop()
  assert.equal(await waiting, undefined)
  assert.equal(await room.reserve(name('a'), 1), undefined)
})

it('never more than the limit is promised, whatever is asked and released', async () => {
  const step = fc.record({ who: fc.nat(9), bytes: fc.integer({ min: 0, max: 400 }), isKept: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.nat(3), async (steps, together) => {
      const store = new SimulatedStore([200, 100, 50])
      store.heldBytes = 100
      const room = budgetOn(store, { bytes: 1000 })
      const held = new Map<number, { bytes: number; release(): void }>()
      let asked: Promise<void>[] = []
      /** Who may be given more at any moment lets go of nothing. */
      let asking = new Set<number>()
      for (const [at, { who, bytes, isKept }] of steps.entries()) {
        const own = held.get(who)
        if (own !== undefined && bytes % 2 === 0 && !asking.has(who)) {
          held.delete(who)
          if (isKept) store.blobs.push(own.bytes)
          own.release()
          continue
        }
        asking.add(who)
        asked.push(
          room.reserve(name(who), bytes).then((reservation) => {
            if (reservation !== undefined) held.set(who, reservation)
          }),
        )
        if (at % (together + 1) !== 0) continue
        await Promise.all(asked)
        asked = []
        asking = new Set()
        const promised = [...held.values()].reduce((sum, reservation) => sum + reservation.bytes, 0)
        assert.ok(store.storedBytes() + promised <= 1000)
      }
      await Promise.all(asked)
      await room.stop()
    }),
  )
})
