import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Rejection } from '../../../src/observe/events.ts'
import { Failure } from '../../../src/ports/failure.ts'
import type { Sender, SendSlot } from '../../../src/registry-api/answer/send-slot.ts'
import { SendSlots, type SlotLimits } from '../../../src/registry-api/answer/send-slots.ts'

const noSignal = { signal: new AbortController().signal }

/** Slots whose clients count as slow at once, and whose waiting senders are not refused before a test ends. */
function createSlots(limits: Partial<SlotLimits> = {}) {
  const rejected: Rejection[] = []
  const slots = new SendSlots(
    {
      total: 4,
      perConnection: 4,
      perAddress: 2,
      reservedForLocal: 1,
      waitMs: 600_000,
      slowMs: 0,
      fairMs: 60_000,
      maxWaiting: 3,
      what: 'downloads',
      ...limits,
    },
    (reason) => rejected.push(reason),
  )
  return { slots, rejected }
}

interface TestSender extends Sender {
  readonly isEvicted: boolean
}

function createSender(address = '127.0.0.1', connection: object = {}): TestSender {
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

async function takeSlots(slots: SendSlots, count: number, by = createSender()): Promise<SendSlot[]> {
  const taken: SendSlot[] = []
  for (let i = 0; i < count; i += 1) taken.push(await slots.take(by, noSignal))
  return taken
}

test('senders that find no free slot get one in the order of their arrival', async () => {
  const { slots } = createSlots({ total: 1, reservedForLocal: 0 })
  const [first] = await takeSlots(slots, 1)
  const order: number[] = []
  const next = (number: number) =>
    slots.take(createSender(), noSignal).then((slot) => {
      order.push(number)
      return slot
    })
  const second = next(2)
  const third = next(3)
  first?.end()
  ;(await second).end()
  ;(await third).end()
  assert.deepEqual(order, [2, 3])
  assert.equal(slots.taken, 0)
})

test('a sender that stops waiting takes no slot', async () => {
  const { slots } = createSlots({ total: 1, reservedForLocal: 0 })
  const [first] = await takeSlots(slots, 1)
  const impatient = new AbortController()
  const waiting = slots.take(createSender(), { signal: impatient.signal })
  impatient.abort(new Error('gave up'))
  await assert.rejects(waiting, /gave up/)
  await assert.rejects(slots.take(createSender(), { signal: impatient.signal }), /gave up/)
  first?.end()
  assert.equal(slots.taken, 0)
})

test('a slot is free only when its client has taken everything that was sent', async () => {
  const { slots } = createSlots()
  const [slot] = await takeSlots(slots, 1)
  slot?.onWrite(100)
  slot?.end()
  assert.equal(slots.taken, 1)
  slot?.onWriteDone()
  assert.equal(slots.taken, 0)
})

test('a sender that waits too long gets a busy failure with a time to retry', async () => {
  const { slots, rejected } = createSlots({ waitMs: 1 })
  await takeSlots(slots, 4)
  await assert.rejects(slots.take(createSender(), noSignal), (error) => {
    return error instanceof Failure && error.code === 'busy' && error.details.retryAfterMs === 1000
  })
  assert.deepEqual(rejected, ['seats'])
  assert.equal(slots.waiting, 0)
})

test('the number of waiting senders is limited', async () => {
  const { slots } = createSlots()
  const taken = await takeSlots(slots, 4)
  const waiting = Array.from({ length: 3 }, () => slots.take(createSender(), noSignal))
  await assert.rejects(slots.take(createSender(), noSignal), { code: 'busy' })
  for (const slot of taken) slot.end()
  for (const slot of await Promise.all(waiting)) slot.end()
  assert.equal(slots.taken, 0)
})

test('one remote address cannot take all slots, and some are reserved for local clients', async () => {
  const { slots } = createSlots({ waitMs: 1 })
  await takeSlots(slots, 2, createSender('10.0.0.1'))
  await assert.rejects(slots.take(createSender('10.0.0.1'), noSignal), { code: 'busy' })
  await takeSlots(slots, 1, createSender('10.0.0.2'))
  await assert.rejects(slots.take(createSender('10.0.0.3'), noSignal), { code: 'busy' })
  await takeSlots(slots, 1, createSender('127.0.0.1'))
  assert.equal(slots.taken, 4)
})

test('while senders wait, the slowest body of the sender with the largest share is evicted', async () => {
  const { slots, rejected } = createSlots()
  const modest = createSender()
  const greedy = createSender()
  const [only] = await takeSlots(slots, 1, modest)
  const [slowest, ...rest] = await takeSlots(slots, 3, greedy)
  for (const slot of [only, slowest, ...rest]) slot?.onWrite(100)
  const waiting = slots.take(createSender(), noSignal)
  assert.equal(greedy.isEvicted, true)
  assert.equal(modest.isEvicted, false)
  assert.deepEqual(rejected, ['slow'])
  slowest?.end()
  slowest?.onWriteDone()
  await waiting
})

test('a client that takes what it is sent is not evicted', async () => {
  const { slots, rejected } = createSlots({ slowMs: 60_000, waitMs: 1 })
  const honest = createSender()
  for (const slot of await takeSlots(slots, 4, honest)) {
    slot.onWrite(100)
    slot.onWrite(100)
    slot.onWriteDone()
  }
  await assert.rejects(slots.take(createSender(), noSignal), { code: 'busy' })
  assert.equal(honest.isEvicted, false)
  assert.deepEqual(rejected, ['seats'])
})

test('a paused body gives up its slot to a waiting sender, and gets one again', async () => {
  const { slots } = createSlots({ total: 1, reservedForLocal: 0 })
  const [paused] = await takeSlots(slots, 1)
  paused?.pause()
  const other = await slots.take(createSender(), noSignal)
  const again = paused?.resume()
  other.end()
  await again
  assert.equal(slots.taken, 1)
  paused?.end()
  assert.equal(slots.taken, 0)
})

test('a paused body keeps its slot until its client has taken what was sent', async () => {
  const { slots } = createSlots({ total: 1, reservedForLocal: 0, slowMs: 60_000 })
  const [paused] = await takeSlots(slots, 1)
  paused?.onWrite(10)
  paused?.pause()
  let isGranted = false
  const waiting = slots.take(createSender(), noSignal).then((slot) => {
    isGranted = true
    return slot
  })
  await new Promise(setImmediate)
  assert.equal(isGranted, false)
  paused?.onWriteDone()
  ;(await waiting).end()
  paused?.end()
  assert.equal(slots.taken, 0)
})

test('a body that ends after it gave up its slot does not release it twice', async () => {
  const { slots } = createSlots({ total: 1, reservedForLocal: 0 })
  const [paused] = await takeSlots(slots, 1)
  paused?.pause()
  const other = await slots.take(createSender(), noSignal)
  paused?.end()
  assert.equal(slots.taken, 1)
  other.end()
  assert.equal(slots.taken, 0)
})

test('a slow remote client is evicted for another remote client when all slots for remote clients are taken', async () => {
  const { slots, rejected } = createSlots()
  const slow = createSender('10.0.0.1')
  const [slot] = await takeSlots(slots, 2, slow)
  await takeSlots(slots, 1, createSender('10.0.0.2'))
  slot?.onWrite(100)
  const waiting = slots.take(createSender('10.0.0.3'), noSignal)
  assert.equal(slow.isEvicted, true)
  assert.deepEqual(rejected, ['slow'])
  slot?.end()
  slot?.onWriteDone()
  ;(await waiting).end()
})

test('a body that was written completely, and is not taken, is evicted, too', async () => {
  const { slots } = createSlots()
  const slow = createSender()
  for (const slot of await takeSlots(slots, 4, slow)) {
    slot.onWrite(100)
    slot.end()
  }
  const over = new AbortController()
  const waiting = slots.take(createSender(), { signal: over.signal })
  assert.equal(slow.isEvicted, true)
  over.abort(new Error('gave up'))
  await assert.rejects(waiting, /gave up/)
})

test('a sender with a large share loses a slot to one that has waited long, even while it makes progress', async () => {
  const { slots } = createSlots({ total: 20, perConnection: 20, slowMs: 60_000, fairMs: 0 })
  const greedy = createSender()
  const taken = await takeSlots(slots, 20, greedy)
  for (const slot of taken) slot.onWrite(100)
  const waiting = slots.take(createSender(), noSignal)
  assert.equal(greedy.isEvicted, true)
  const [left] = taken
  left?.end()
  left?.onWriteDone()
  ;(await waiting).end()
})

test('when too many senders wait, the one with the largest share is refused', async () => {
  const { slots } = createSlots({ slowMs: 60_000 })
  const greedy = createSender()
  await takeSlots(slots, 4, greedy)
  const over = new AbortController()
  const [first, ...others] = Array.from({ length: 3 }, () => slots.take(greedy, { signal: over.signal }))
  const modest = slots.take(createSender(), { signal: over.signal })
  assert.ok(first)
  await assert.rejects(first, { code: 'busy' })
  assert.equal(slots.waiting, 3)
  over.abort(new Error('gave up'))
  for (const waiting of [...others, modest]) await assert.rejects(waiting, /gave up/)
  assert.equal(slots.waiting, 0)
})
