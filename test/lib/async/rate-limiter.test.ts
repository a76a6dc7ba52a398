import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Clock, RateLimiter } from '../../../src/lib/async/rate-limiter.ts'
import { neverAborted } from '../../../testkit/peer-lab.ts'

const signal = neverAborted()

/** Time that passes when the test says so. */
class HandClock implements Clock {
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

  /** Time passes, but nobody is told yet. */
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

test('without a cap nobody ever waits', () => {
  const limiter = new RateLimiter(undefined)
  assert.equal(limiter.quantumBytes, Number.POSITIVE_INFINITY)
  for (let n = 0; n < 1000; n += 1) assert.equal(limiter.take(1e9, { signal }), undefined)
})

test('what many transfers take together is the cap, and each has its share', async () => {
  const clock = new HandClock()
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

test('one who comes later gets its share at once', async () => {
  const clock = new HandClock()
  const limiter = new RateLimiter(1_000_000, clock)
  const first = transfer(limiter)
  await clock.pass(5000)
  const before = first.taken
  const second = transfer(limiter)
  await clock.pass(5000)
  assert.ok(Math.abs(first.taken - before - second.taken) <= limiter.quantumBytes)
})

test('turns are taken in the order in which they were asked for', async () => {
  const clock = new HandClock()
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

test('who comes when the next turn is due does not take it', async () => {
  const clock = new HandClock()
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

test('who leaves while waiting costs nobody anything', async () => {
  const clock = new HandClock()
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

test('nothing keeps running when everyone has left', async () => {
  const clock = new HandClock()
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

test('what was not used is not saved up', async () => {
  const clock = new HandClock()
  const limiter = new RateLimiter(1_000_000, clock)
  limiter.take(1000, { signal })
  await clock.pass(60_000)
  const { taken } = transfer(limiter)
  assert.equal(taken, 0)
  const late = transfer(limiter)
  await clock.pass(1000)
  assert.ok(late.taken <= 1_100_000 + limiter.quantumBytes, `${late.taken} in a second`)
})

test('a quantum is never large, and at a low cap soon paid for', () => {
  assert.equal(new RateLimiter(1e9).quantumBytes, 256 * 1024)
  assert.equal(new RateLimiter(1_000_000).quantumBytes, 62_500)
  assert.equal(new RateLimiter(100).quantumBytes, 1024)
})
