import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Rejection } from '../../../src/observe/events.ts'
import { Failure } from '../../../src/ports/failure.ts'
import { type Seat, type SeatLimits, Seats, type Sender } from '../../../src/registry-api/answer/seats.ts'

const forever = { signal: new AbortController().signal }

/** A client is slow at once, and whoever waits is not refused before a test ends. */
function seatsOf(limits: Partial<SeatLimits> = {}) {
  const rejected: Rejection[] = []
  const seats = new Seats(
    {
      total: 4,
      perConnection: 4,
      perAddress: 2,
      reservedForLocal: 1,
      waitMs: 600_000,
      slowMs: 0,
      fairMs: 60_000,
      maxWaiting: 3,
      ...limits,
    },
    (reason) => rejected.push(reason),
  )
  return { seats, rejected }
}

interface TestSender extends Sender {
  readonly isEvicted: boolean
}

function sender(address = '127.0.0.1', connection: object = {}): TestSender {
  const own = {
    client: { address, isLocal: address.startsWith('127.') },
    connection,
    isEvicted: false,
    evict: () => {
      own.isEvicted = true
    },
  }
  return own
}

async function fill(seats: Seats, count: number, by = sender()): Promise<Seat[]> {
  const taken: Seat[] = []
  for (let i = 0; i < count; i += 1) taken.push(await seats.take(by, forever))
  return taken
}

test('who finds no seat waits, and they come in the order they came', async () => {
  const { seats } = seatsOf({ total: 1, reservedForLocal: 0 })
  const [first] = await fill(seats, 1)
  const order: number[] = []
  const next = (number: number) =>
    seats.take(sender(), forever).then((seat) => {
      order.push(number)
      return seat
    })
  const second = next(2)
  const third = next(3)
  first?.leave()
  ;(await second).leave()
  ;(await third).leave()
  assert.deepEqual(order, [2, 3])
  assert.equal(seats.held, 0)
})

test('who gives up waiting takes nobody a seat', async () => {
  const { seats } = seatsOf({ total: 1, reservedForLocal: 0 })
  const [first] = await fill(seats, 1)
  const impatient = new AbortController()
  const waiting = seats.take(sender(), { signal: impatient.signal })
  impatient.abort(new Error('enough'))
  await assert.rejects(waiting, /enough/)
  await assert.rejects(seats.take(sender(), { signal: impatient.signal }), /enough/)
  first?.leave()
  assert.equal(seats.held, 0)
})

test('a seat is free only when its client has taken all that was sent', async () => {
  const { seats } = seatsOf()
  const [seat] = await fill(seats, 1)
  seat?.sending(100)
  seat?.leave()
  assert.equal(seats.held, 1)
  seat?.taken()
  assert.equal(seats.held, 0)
})

test('who waits too long is told to come back', async () => {
  const { seats, rejected } = seatsOf({ waitMs: 1 })
  await fill(seats, 4)
  await assert.rejects(seats.take(sender(), forever), (error) => {
    return error instanceof Failure && error.code === 'busy' && error.details.retryAfterMs === 1000
  })
  assert.deepEqual(rejected, ['seats'])
  assert.equal(seats.waiting, 0)
})

test('there is only so much room to wait', async () => {
  const { seats } = seatsOf()
  const taken = await fill(seats, 4)
  const waiting = Array.from({ length: 3 }, () => seats.take(sender(), forever))
  await assert.rejects(seats.take(sender(), forever), { code: 'busy' })
  for (const seat of taken) seat.leave()
  for (const seat of await Promise.all(waiting)) seat.leave()
  assert.equal(seats.held, 0)
})

test('an address may not take all seats, and clients on this machine always find some', async () => {
  const { seats } = seatsOf({ waitMs: 1 })
  await fill(seats, 2, sender('10.0.0.1'))
  await assert.rejects(seats.take(sender('10.0.0.1'), forever), { code: 'busy' })
  await fill(seats, 1, sender('10.0.0.2'))
  await assert.rejects(seats.take(sender('10.0.0.3'), forever), { code: 'busy' })
  await fill(seats, 1, sender('127.0.0.1'))
  assert.equal(seats.held, 4)
})

test('while others wait, the slowest of those that hold the most is sent away', async () => {
  const { seats, rejected } = seatsOf()
  const modest = sender()
  const greedy = sender()
  const [only] = await fill(seats, 1, modest)
  const [slowest, ...rest] = await fill(seats, 3, greedy)
  for (const seat of [only, slowest, ...rest]) seat?.sending(100)
  const waiting = seats.take(sender(), forever)
  assert.equal(greedy.isEvicted, true)
  assert.equal(modest.isEvicted, false)
  assert.deepEqual(rejected, ['slow'])
  slowest?.leave()
  slowest?.taken()
  await waiting
})

test('a client that takes what it is sent is not sent away', async () => {
  const { seats, rejected } = seatsOf({ slowMs: 60_000, waitMs: 1 })
  const honest = sender()
  for (const seat of await fill(seats, 4, honest)) {
    seat.sending(100)
    seat.sending(100)
    seat.taken()
  }
  await assert.rejects(seats.take(sender(), forever), { code: 'busy' })
  assert.equal(honest.isEvicted, false)
  assert.deepEqual(rejected, ['seats'])
})

test('a body that has nothing to send lends its seat, and gets one again', async () => {
  const { seats } = seatsOf({ total: 1, reservedForLocal: 0 })
  const [resting] = await fill(seats, 1)
  resting?.rest()
  const other = await seats.take(sender(), forever)
  const again = resting?.resume()
  other.leave()
  await again
  assert.equal(seats.held, 1)
  resting?.leave()
  assert.equal(seats.held, 0)
})

test('a body that rests keeps its seat until its client has taken what was sent', async () => {
  const { seats } = seatsOf({ total: 1, reservedForLocal: 0, slowMs: 60_000 })
  const [resting] = await fill(seats, 1)
  resting?.sending(10)
  resting?.rest()
  let isSeated = false
  const waiting = seats.take(sender(), forever).then((seat) => {
    isSeated = true
    return seat
  })
  await new Promise(setImmediate)
  assert.equal(isSeated, false)
  resting?.taken()
  ;(await waiting).leave()
  resting?.leave()
  assert.equal(seats.held, 0)
})

test('a body that ends while it lends its seat gives back nothing twice', async () => {
  const { seats } = seatsOf({ total: 1, reservedForLocal: 0 })
  const [resting] = await fill(seats, 1)
  resting?.rest()
  const other = await seats.take(sender(), forever)
  resting?.leave()
  assert.equal(seats.held, 1)
  other.leave()
  assert.equal(seats.held, 0)
})

test('a slow client elsewhere makes room for another elsewhere when their part is taken', async () => {
  const { seats, rejected } = seatsOf()
  const slow = sender('10.0.0.1')
  const [seat] = await fill(seats, 2, slow)
  await fill(seats, 1, sender('10.0.0.2'))
  seat?.sending(100)
  const waiting = seats.take(sender('10.0.0.3'), forever)
  assert.equal(slow.isEvicted, true)
  assert.deepEqual(rejected, ['slow'])
  seat?.leave()
  seat?.taken()
  ;(await waiting).leave()
})

test('a body that was given whole, and is not taken, makes room too', async () => {
  const { seats } = seatsOf()
  const slow = sender()
  for (const seat of await fill(seats, 4, slow)) {
    seat.sending(100)
    seat.leave()
  }
  const over = new AbortController()
  const waiting = seats.take(sender(), { signal: over.signal })
  assert.equal(slow.isEvicted, true)
  over.abort(new Error('enough'))
  await assert.rejects(waiting, /enough/)
})

test('who holds many seats loses one to who has waited long, though it moves', async () => {
  const { seats } = seatsOf({ total: 20, perConnection: 20, slowMs: 60_000, fairMs: 0 })
  const greedy = sender()
  const taken = await fill(seats, 20, greedy)
  for (const seat of taken) seat.sending(100)
  const waiting = seats.take(sender(), forever)
  assert.equal(greedy.isEvicted, true)
  const [left] = taken
  left?.leave()
  left?.taken()
  ;(await waiting).leave()
})

test('when there is no more room to wait, who holds the most stops waiting', async () => {
  const { seats } = seatsOf({ slowMs: 60_000 })
  const greedy = sender()
  await fill(seats, 4, greedy)
  const over = new AbortController()
  const [first, ...others] = Array.from({ length: 3 }, () => seats.take(greedy, { signal: over.signal }))
  const modest = seats.take(sender(), { signal: over.signal })
  assert.ok(first)
  await assert.rejects(first, { code: 'busy' })
  assert.equal(seats.waiting, 3)
  over.abort(new Error('enough'))
  for (const waiting of [...others, modest]) await assert.rejects(waiting, /enough/)
  assert.equal(seats.waiting, 0)
})
