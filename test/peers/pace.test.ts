import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Clock, Pace } from '../../src/peers/pace.ts'
import { unending } from '../support/peer-lab.ts'

const signal = unending()

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
function transfer(pace: Pace): { taken: number } {
  const count = { taken: 0 }
  const run = async () => {
    for (;;) {
      await pace.take(pace.quantum, { signal })
      count.taken += pace.quantum
    }
  }
  void run()
  return count
}

test('without a cap nobody ever waits', () => {
  const pace = new Pace(undefined)
  assert.equal(pace.quantum, Number.POSITIVE_INFINITY)
  for (let n = 0; n < 1000; n += 1) assert.equal(pace.take(1e9, { signal }), undefined)
})

test('what many transfers take together is the cap, and each has its share', async () => {
  const clock = new HandClock()
  const rate = 10_000_000
  const pace = new Pace(rate, clock)
  const transfers = Array.from({ length: 7 }, () => transfer(pace))
  await clock.pass(10_000)
  const all = transfers.reduce((sum, { taken }) => sum + taken, 0)
  assert.ok(Math.abs(all / (10 * rate) - 1) < 0.02, `${all}`)
  for (const { taken } of transfers) {
    assert.ok(Math.abs(taken - all / 7) <= pace.quantum, `one has ${taken} of ${all}`)
  }
})

test('one who comes later gets its share at once', async () => {
  const clock = new HandClock()
  const pace = new Pace(1_000_000, clock)
  const first = transfer(pace)
  await clock.pass(5000)
  const before = first.taken
  const second = transfer(pace)
  await clock.pass(5000)
  assert.ok(Math.abs(first.taken - before - second.taken) <= pace.quantum)
})

test('turns are taken in the order in which they were asked for', async () => {
  const clock = new HandClock()
  const pace = new Pace(1000, clock)
  const order: number[] = []
  for (let n = 0; n < 5; n += 1) {
    const turn = pace.take(100, { signal })
    if (turn === undefined) order.push(n)
    else void turn.then(() => order.push(n))
  }
  await clock.pass(1000)
  assert.deepEqual(order, [0, 1, 2, 3, 4])
})

test('who comes when the next turn is due does not take it', async () => {
  const clock = new HandClock()
  const pace = new Pace(1000, clock)
  const order: string[] = []
  assert.equal(pace.take(300, { signal }), undefined)
  void pace.take(100, { signal })?.then(() => order.push('first'))
  clock.skip(250)
  const late = pace.take(100, { signal })
  assert.notEqual(late, undefined)
  void late?.then(() => order.push('late'))
  await clock.pass(300)
  assert.deepEqual(order, ['first', 'late'])
})

test('who leaves while waiting costs nobody anything', async () => {
  const clock = new HandClock()
  const pace = new Pace(1000, clock)
  const gone = new AbortController()
  assert.equal(pace.take(1000, { signal }), undefined)
  const left = pace.take(1_000_000, { signal: gone.signal })
  let isServed = false
  void pace.take(100, { signal })?.then(() => {
    isServed = true
  })
  gone.abort(new Error('left'))
  await assert.rejects(left ?? Promise.resolve(), /left/)
  await clock.pass(1100)
  assert.ok(isServed)
})

test('nothing keeps running when everyone has left', async () => {
  const clock = new HandClock()
  const pace = new Pace(1000, clock)
  const gone = new AbortController()
  pace.take(1000, { signal })
  const left = pace.take(1000, { signal: gone.signal })
  assert.equal(clock.waiting, 1)
  gone.abort(new Error('left'))
  await assert.rejects(left ?? Promise.resolve(), /left/)
  assert.equal(clock.waiting, 0)
  await assert.rejects(pace.take(1000, { signal: gone.signal }) ?? Promise.resolve(), /left/)
})

test('what was not used is not saved up', async () => {
  const clock = new HandClock()
  const pace = new Pace(1_000_000, clock)
  pace.take(1000, { signal })
  await clock.pass(60_000)
  const { taken } = transfer(pace)
  assert.equal(taken, 0)
  const late = transfer(pace)
  await clock.pass(1000)
  assert.ok(late.taken <= 1_100_000 + pace.quantum, `${late.taken} in a second`)
})

test('a quantum is never large, and at a low cap soon paid for', () => {
  assert.equal(new Pace(1e9).quantum, 256 * 1024)
  assert.equal(new Pace(1_000_000).quantum, 62_500)
  assert.equal(new Pace(100).quantum, 1024)
})
