import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { DiskLimit } from '../../../src/lib/disk-limit.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import type { BudgetedStore, PartialSizes } from '../../../src/store/space/budget-types.ts'
import { DiskBudget } from '../../../src/store/space/disk-budget.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { fc } from '../../../testkit/property-runs.ts'
import { folder, opened } from '../folder.ts'

const name = (text: string | number): Digest => digestOf(Buffer.from(String(text)))
const { signal } = new AbortController()

/** A store as numbers: blobs are evicted in the order of the list. */
class SimulatedStore implements BudgetedStore {
  blobs: number[]
  pinnedBytes = 0
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
    return this.pinnedBytes + this.blobs.reduce((sum, size) => sum + size, 0)
  }

  async unevictableBytes(): Promise<number> {
    return this.pinnedBytes
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
    const freed = { blobs: 0, bytes: 0 }
    while (freed.bytes < bytes && freed.blobs < 4 && this.blobs.length > 0) {
      freed.blobs += 1
      freed.bytes += this.blobs.shift() ?? 0
    }
    return freed
  }
}

function budgetOn(store: SimulatedStore, limit: DiskLimit | undefined): DiskBudget {
  return new DiskBudget({ store, limit })
}

it('without a limit every request is granted, and nothing is evicted', async () => {
  const store = new SimulatedStore([10, 10])
  const budget = budgetOn(store, undefined)
  assert.equal((await budget.reserve(name('a'), 1e15))?.bytes, 1e15)
  assert.equal(budget.limitBytes, undefined)
  assert.deepEqual(await budget.collect({ signal }), { blobs: 0, bytes: 0 })
  assert.equal(store.evictions, 0)
})

it('eviction starts when the high mark is crossed, and frees down to the low mark', async () => {
  const store = new SimulatedStore(Array.from({ length: 95 }, () => 10))
  const budget = budgetOn(store, { bytes: 1000 })
  assert.ok(await budget.reserve(name('a'), 50))
  assert.equal(store.evictions, 0)
  assert.ok(await budget.reserve(name('b'), 1))
  await budget.collect({ signal })
  assert.equal(store.storedBytes() + 51, 891)
})

it('a request larger than the limit is refused at once, and nothing is evicted', async () => {
  const store = new SimulatedStore([100, 100])
  const budget = budgetOn(store, { bytes: 1000 })
  assert.equal(await budget.reserve(name('a'), 1001), undefined)
  assert.equal(store.storedBytes(), 200)
  assert.ok(await budget.reserve(name('a'), 1000))
  assert.equal(store.storedBytes(), 0)
})

it('nothing is evicted for the size a content may reach, but a request is refused if that size could never fit', async () => {
  const store = new SimulatedStore([300, 300])
  const budget = budgetOn(store, { bytes: 1000 })
  assert.equal((await budget.reserve(name('a'), 100, 1000))?.bytes, 100)
  assert.equal(store.storedBytes(), 600)
  assert.equal((await budget.reserve(name('a'), 350, 1000))?.bytes, 350)
  assert.equal(store.storedBytes(), 600)
  assert.equal(await budget.reserve(name('b'), 100, 1001), undefined)
  assert.equal(store.storedBytes(), 600)
  assert.equal((await budget.reserve(name('a'), 1000, 1000))?.bytes, 1000)
  assert.equal(store.storedBytes(), 0)
})

it('a request that could not fit even if everything evictable were evicted is refused, and nothing is evicted', async () => {
  const store = new SimulatedStore([300])
  store.pinnedBytes = 500
  const budget = budgetOn(store, { bytes: 1000 })
  assert.equal(await budget.reserve(name('a'), 501), undefined)
  assert.equal(store.storedBytes(), 800)
  assert.ok(await budget.reserve(name('b'), 450))
  assert.equal(await budget.reserve(name('c'), 60), undefined)
  assert.equal(store.storedBytes(), 500)
})

it('partials, quarantine and reservations count against the limit', async () => {
  const store = new SimulatedStore([])
  store.quarantine = 100
  store.partials = new Map([[name('left'), { bytes: 200, modifiedAt: 1 }]])
  const budget = budgetOn(store, { bytes: 1000 })
  const first = await budget.reserve(name('a'), 600)
  assert.ok(first)
  assert.equal(await budget.reserve(name('b'), 101), undefined)
  assert.ok(await budget.reserve(name('c'), 100))
  first.release()
  first.release()
  assert.ok(await budget.reserve(name('d'), 600))
  assert.equal(await budget.reserve(name('e'), 1), undefined)
})

it('a partial that is resumed counts once, as part of its reservation', async () => {
  const store = new SimulatedStore([])
  store.partials = new Map([[name('a'), { bytes: 900, modifiedAt: 1 }]])
  const budget = budgetOn(store, { bytes: 1000 })
  assert.ok(await budget.reserve(name('a'), 1000))
})

it('a second request for the same content lets its reservation grow, and one release frees all of it', async () => {
  const store = new SimulatedStore([])
  const budget = budgetOn(store, { bytes: 1000 })
  const first = await budget.reserve(name('a'), 100)
  const grown = await budget.reserve(name('a'), 400)
  assert.equal(grown?.bytes, 400)
  assert.equal((await budget.reserve(name('a'), 300))?.bytes, 400)
  assert.equal(await budget.reserve(name('a'), 1001), undefined)
  assert.equal(first?.bytes, 400, 'a refused request does not change the reservation')
  assert.ok(await budget.reserve(name('b'), 600))
  first.release()
  assert.ok(await budget.reserve(name('c'), 400))
})

it('concurrent requests are served by one eviction, in their order', async () => {
  const store = new SimulatedStore(Array.from({ length: 100 }, () => 10))
  const budget = budgetOn(store, { bytes: 1000 })
  const granted: number[] = []
  const all = Array.from({ length: 40 }, async (_, n) => {
    if (await budget.reserve(name(n), 20)) granted.push(n)
  })
  await Promise.all(all)
  assert.deepEqual(
    granted,
    Array.from({ length: 40 }, (_, n) => n),
  )
  await budget.collect({ signal })
  assert.equal(store.storedBytes() + 40 * 20, 900, 'no more is evicted than needed')
  assert.ok(store.evictions <= 25)
})

it('the free space of the filesystem limits reservations', async () => {
  const store = new SimulatedStore([1000, 1000, 1000])
  store.total = 100_000
  store.otherBytes = 95_000
  const budget = budgetOn(store, { bytes: 50_000 })
  assert.equal(await budget.reserve(name('a'), 4001), undefined, 'a hundredth stays free')
  assert.equal(store.storedBytes(), 3000)
  assert.ok(await budget.reserve(name('b'), 2000))
  assert.equal(store.storedBytes(), 2000)
})

/** Resolves when the store has become as small as that, and not smaller. */
async function shrunkTo(store: SimulatedStore, bytes: number): Promise<void> {
  while (store.storedBytes() > bytes) await new Promise((resolve) => setTimeout(resolve, 2))
  assert.equal(store.storedBytes(), bytes)
}

it('what other programs write shrinks the store, down to what is in use', async () => {
  const store = new SimulatedStore(Array.from({ length: 50 }, () => 100))
  store.total = 100_000
  store.pinnedBytes = 1000
  store.otherBytes = 80_000
  const budget = new DiskBudget({ store, limit: { bytes: 50_000 }, minFree: { percent: 10 } })
  await budget.check()
  await budget.collect({ signal })
  assert.equal(store.storedBytes(), 6000)
  assert.equal(budget.limitBytes, 10_000)
  store.otherBytes = 87_000
  await budget.check()
  await shrunkTo(store, 3000)
  assert.equal(budget.limitBytes, 3000)
  await budget.stop()
})

it('what is in use stays when the filesystem is full, and nothing more is stored', async () => {
  const store = new SimulatedStore(Array.from({ length: 50 }, () => 100))
  store.total = 100_000
  store.pinnedBytes = 1000
  store.otherBytes = 94_000
  const budget = new DiskBudget({ store, limit: undefined, minFree: { percent: 10 } })
  assert.equal(await budget.reserve(name('a'), 1), undefined)
  await shrunkTo(store, 1000)
  store.otherBytes = 80_000
  await budget.check()
  assert.ok(await budget.reserve(name('a'), 5000))
  await budget.stop()
})

it('the free space is looked at again and again, without any request', async () => {
  const store = new SimulatedStore(Array.from({ length: 50 }, () => 100))
  store.total = 100_000
  const budget = new DiskBudget({ store, limit: undefined, minFree: { bytes: 10_000 }, everyMs: 5 })
  store.otherBytes = 87_000
  await shrunkTo(store, 3000)
  await budget.stop()
})

it('bytes released since the last measurement count as written', async () => {
  const store = new SimulatedStore([])
  store.total = 100_000
  store.otherBytes = 95_000
  const budget = budgetOn(store, { bytes: 50_000 })
  const first = await budget.reserve(name('a'), 3000)
  store.pinnedBytes = 3000
  first?.release()
  assert.equal(await budget.reserve(name('b'), 3000), undefined)
})

it('eviction stops while a filesystem has not reported freed space yet', async () => {
  const store = new SimulatedStore(Array.from({ length: 100 }, () => 100))
  store.total = 100_000
  store.otherBytes = 89_000
  store.isLate = true
  const budget = budgetOn(store, { bytes: 50_000 })
  assert.equal(await budget.reserve(name('a'), 1000), undefined)
  assert.equal(store.storedBytes(), 9000)
})

it('a limit in percent follows the size of the filesystem', async () => {
  const store = new SimulatedStore(Array.from({ length: 60 }, () => 10))
  store.total = 2000
  const budget = budgetOn(store, { percent: 50 })
  assert.equal(budget.limitBytes, undefined)
  await budget.check()
  assert.equal(budget.limitBytes, 1000)
  store.total = 1000
  assert.equal(await budget.reserve(name('x'), 501), undefined)
  assert.equal(budget.limitBytes, 500)
  await budget.collect({ signal })
  assert.equal(store.storedBytes(), 450)
})

it('gc frees down to the low mark, or to the given size', async () => {
  const store = new SimulatedStore(Array.from({ length: 95 }, () => 10))
  const budget = budgetOn(store, { bytes: 1000 })
  assert.deepEqual(await budget.collect({ signal }), { blobs: 5, bytes: 50 })
  assert.deepEqual(await budget.collect({ signal }), { blobs: 0, bytes: 0 })
  assert.deepEqual(await budget.collect({ signal, toBytes: 0 }), { blobs: 90, bytes: 900 })
  await assert.rejects(
    budget.collect({ signal: AbortSignal.abort(new Error('enough')), toBytes: 0 }),
    /enough/,
  )
})

it('when eviction fails, requests are refused and gc reports the error', async () => {
  const store = new SimulatedStore([10, 10])
  store.failure = new Error('read-only')
  const budget = budgetOn(store, { bytes: 20 })
  assert.equal(await budget.reserve(name('a'), 5), undefined)
  await assert.rejects(budget.collect({ signal, toBytes: 0 }), /read-only/)
  store.failure = undefined
  assert.ok(await budget.reserve(name('a'), 5))
})

it('requests that wait when the budget stops are refused', async () => {
  const store = new SimulatedStore([10, 10])
  const budget = budgetOn(store, { bytes: 20 })
  const waiting = budget.reserve(name('a'), 5)
  await budget.stop()
  assert.equal(await waiting, undefined)
  assert.equal(await budget.reserve(name('a'), 1), undefined)
})

it('reservations never exceed the limit, whatever is requested and released', async () => {
  const step = fc.record({ who: fc.nat(9), bytes: fc.integer({ min: 0, max: 400 }), isStored: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.nat(3), async (steps, together) => {
      const store = new SimulatedStore([200, 100, 50])
      store.pinnedBytes = 100
      const budget = budgetOn(store, { bytes: 1000 })
      const reserved = new Map<number, { bytes: number; release(): void }>()
      let asked: Promise<void>[] = []
      /** A content with a pending request does not release its reservation. */
      let pending = new Set<number>()
      for (const [at, { who, bytes, isStored }] of steps.entries()) {
        const own = reserved.get(who)
        if (own !== undefined && bytes % 2 === 0 && !pending.has(who)) {
          reserved.delete(who)
          if (isStored) store.blobs.push(own.bytes)
          own.release()
          continue
        }
        pending.add(who)
        asked.push(
          budget.reserve(name(who), bytes).then((reservation) => {
            if (reservation !== undefined) reserved.set(who, reservation)
          }),
        )
        if (at % (together + 1) !== 0) continue
        await Promise.all(asked)
        asked = []
        pending = new Set()
        const promised = [...reserved.values()].reduce((sum, reservation) => sum + reservation.bytes, 0)
        assert.ok(store.storedBytes() + promised <= 1000)
      }
      await Promise.all(asked)
      await budget.stop()
    }),
  )
})

it('the limit can be a share of the filesystem', async (t) => {
  const store = await opened(t, { path: await folder(t), maxBytes: { percent: 100 } })
  const { limitBytes } = store.room()
  assert.ok(limitBytes !== undefined && limitBytes > 1e6)
})

it('a smaller limit starts an eviction, and a limit can begin and end', async () => {
  const store = new SimulatedStore(Array.from({ length: 50 }, () => 10))
  const budget = budgetOn(store, undefined)
  await budget.reserve(name('a'), 50)
  budget.limitTo({ bytes: 400 })
  assert.equal(budget.limitBytes, 400)
  await budget.reserve(name('b'), 1)
  assert.ok(store.storedBytes() + 51 <= 400, `${store.storedBytes()}`)
  budget.limitTo(undefined)
  assert.equal((await budget.reserve(name('c'), 1e15))?.bytes, 1e15)
  await budget.stop()
})
