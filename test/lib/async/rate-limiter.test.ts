import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Clock, RateLimiter } from '../../../src/lib/async/rate-limiter.ts'
import { neverAborted } from '../../../testkit/peer-lab.ts'

const signal = neverAborted()

/** A clock that the test moves. */
class ManualClock implements Clock {
  #now = 0
  readonly #due = new Set<{ at: number; then: () => void }>()

  get waiting(): number {
    return this.#due.size
  }

  now(): number {
    return this.#now
  }

  after(ms: number, then: () => void): () => void {
    const entry = { at: this.#now + ms, then }
    this.#due.add(entry)
    return () => this.#due.delete(entry)
  }

  /** Moves the clock without calling what is due. */
  skip(ms: number): void {
    this.#now += ms
  }

  async pass(ms: number): Promise<void> {
    for (const end = this.#now + ms; this.#now < end; this.#now += 1) {
      for (const entry of [...this.#due]) {
        if (entry.at > this.#now) continue
        this.#due.delete(entry)
        entry.then()
      }
      await Promise.resolve()
      await Promise.resolve()
    }
  }
}

/** Takes one quantum after the other until the test is over. */
function transfer(limiter: RateLimiter): { taken: number } {
  const count = { taken: 0 }
  const run = async () => {
    for (;;) {
      await limiter.take(limiter.quantumBytes, { signal })
      count.taken += limiter.quantumBytes
    }
  }
  void run()
  return count
}

test('without a rate every request is granted at once', () => {
  const limiter = new RateLimiter(undefined)
  assert.equal(limiter.quantumBytes, Number.POSITIVE_INFINITY)
  for (let n = 0; n < 1000; n += 1) assert.equal(limiter.take(1e9, { signal }), undefined)
})

test('all transfers together get the rate, and each gets an equal share', async () => {
  const clock = new ManualClock()
  const rate = 10_000_000
  const limiter = new RateLimiter(rate, clock)
  const transfers = Array.from({ length: 7 }, () => transfer(limiter))
  await clock.pass(10_000)
  const all = transfers.reduce((sum, { taken }) => sum + taken, 0)
  assert.ok(Math.abs(all / (10 * rate) - 1) < 0.02, `${all}`)
  for (const { taken } of transfers) {
    assert.ok(Math.abs(taken - all / 7) <= limiter.quantumBytes, `one has ${taken} of ${all}`)
  }
})

test('a later transfer gets its share at once', async () => {
  const clock = new ManualClock()
  const limiter = new RateLimiter(1_000_000, clock)
  const first = transfer(limiter)
  await clock.pass(5000)
  const before = first.taken
  const second = transfer(limiter)
  await clock.pass(5000)
  assert.ok(Math.abs(first.taken - before - second.taken) <= limiter.quantumBytes)
})

test('requests are granted in their order', async () => {
  const clock = new ManualClock()
  const limiter = new RateLimiter(1000, clock)
  const order: number[] = []
  for (let n = 0; n < 5; n += 1) {
    const turn = limiter.take(100, { signal })
    if (turn === undefined) order.push(n)
    else void turn.then(() => order.push(n))
  }
  await clock.pass(1000)
  assert.deepEqual(order, [0, 1, 2, 3, 4])
})

test('a late request does not overtake one that is due', async () => {
  const clock = new ManualClock()
  const limiter = new RateLimiter(1000, clock)
  const order: string[] = []
  assert.equal(limiter.take(300, { signal }), undefined)
  void limiter.take(100, { signal })?.then(() => order.push('first'))
  clock.skip(250)
  const late = limiter.take(100, { signal })
  assert.notEqual(late, undefined)
  void late?.then(() => order.push('late'))
  await clock.pass(300)
  assert.deepEqual(order, ['first', 'late'])
})

test('an aborted request delays no other one', async () => {
  const clock = new ManualClock()
  const limiter = new RateLimiter(1000, clock)
  const gone = new AbortController()
  assert.equal(limiter.take(1000, { signal }), undefined)
  const left = limiter.take(1_000_000, { signal: gone.signal })
  let isServed = false
  void limiter.take(100, { signal })?.then(() => {
    isServed = true
  })
  gone.abort(new Error('left'))
  await assert.rejects(left ?? Promise.resolve(), /left/)
  await clock.pass(1100)
  assert.ok(isServed)
})

test('no timer runs when all requests are aborted', async () => {
  const clock = new ManualClock()
  const limiter = new RateLimiter(1000, clock)
  const gone = new AbortController()
  limiter.take(1000, { signal })
  const left = limiter.take(1000, { signal: gone.signal })
  assert.equal(clock.waiting, 1)
  gone.abort(new Error('left'))
  await assert.rejects(left ?? Promise.resolve(), /left/)
  assert.equal(clock.waiting, 0)
  await assert.rejects(limiter.take(1000, { signal: gone.signal }) ?? Promise.resolve(), /left/)
})

test('a limiter that was idle does not grant more than its burst', async () => {
  const clock = new ManualClock()
  const limiter = new RateLimiter(1_000_000, clock)
  limiter.take(1000, { signal })
  await clock.pass(60_000)
  const { taken } = transfer(limiter)
  assert.equal(taken, 0)
  const late = transfer(limiter)
  await clock.pass(1000)
  assert.ok(late.taken <= 1_100_000 + limiter.quantumBytes, `${late.taken} in a second`)
})

test('a quantum is at most 256 KiB, and smaller at a low rate', () => {
  assert.equal(new RateLimiter(1e9).quantumBytes, 256 * 1024)
  assert.equal(new RateLimiter(1_000_000).quantumBytes, 62_500)
  assert.equal(new RateLimiter(100).quantumBytes, 1024)
})

test('a new rate counts at once, also for what waits, and no rate lets everything through', async () => {
  const clock = new ManualClock()
  const limiter = new RateLimiter(1000, clock)
  limiter.take(10_000, { signal })
  let granted = 0
  const waiting = [1, 2, 3].map(() => limiter.take(1000, { signal })?.then(() => (granted += 1)))
  await clock.pass(10)
  assert.equal(granted, 0)
  limiter.limitTo(1_000_000)
  await Promise.all(waiting.slice(0, 1))
  assert.equal(limiter.quantumBytes, 62_500)
  await clock.pass(10)
  assert.equal(granted, 3)
  limiter.limitTo(1000)
  limiter.take(10_000, { signal })
  const last = limiter.take(1000, { signal })
  limiter.limitTo(undefined)
  await last
  assert.equal(limiter.take(1e9, { signal }), undefined)
  assert.equal(clock.waiting, 0)
})
