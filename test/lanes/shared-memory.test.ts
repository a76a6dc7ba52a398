import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type Borrower, SharedMemory, type Slot, UNIT_BYTES } from '../../src/lanes/shared-memory.ts'
import { fc } from '../../testkit/property-runs.ts'

const MIB = 1024 * 1024
const nothing = (): void => {}

it('a single borrower gets large slots, and all of the memory', async () => {
  const memory = new SharedMemory(16 * MIB)
  const borrower = await memory.join(nothing)
  const slots: Slot[] = []
  for (let slot = memory.take(borrower); slot !== undefined; slot = memory.take(borrower)) slots.push(slot)
  assert.equal(slots.length, 16)
  assert.ok(slots.every(({ bytes }) => bytes.length === MIB && bytes.buffer === memory.buffer))
})

it('64 borrowers get two slots each after the first one took as much as it could', async () => {
  const memory = new SharedMemory(16 * MIB)
  const borrowers: Borrower[] = []
  const first = await memory.join(nothing)
  for (let n = 0; n < 8; n++) assert.equal(memory.take(first)?.bytes.length, MIB)
  for (let n = 1; n < 64; n++) borrowers.push(await memory.join(nothing))
  for (const borrower of borrowers) assert.ok(memory.take(borrower, UNIT_BYTES))
  for (const borrower of borrowers) assert.ok(memory.take(borrower))
})

it('no borrower can take the units guaranteed to borrowers that have not asked yet', async () => {
  const memory = new SharedMemory(12 * UNIT_BYTES)
  const early = await memory.join(nothing)
  for (let n = 0; n < 3; n++) assert.equal(memory.take(early)?.bytes.length, 2 * UNIT_BYTES)
  const [one, ...others] = [
    await memory.join(nothing),
    await memory.join(nothing),
    await memory.join(nothing),
  ]
  assert.ok(one && memory.take(one) && memory.take(one))
  assert.equal(memory.take(one), undefined, 'its share is three units, but the rest is guaranteed to others')
  for (const other of others) assert.ok(memory.take(other) && memory.take(other))
})

it('a borrower that got no slot is woken when memory is given back', async () => {
  let woken = 0
  const memory = new SharedMemory(4 * UNIT_BYTES)
  const greedy = await memory.join(nothing)
  const slots = [memory.take(greedy, UNIT_BYTES), memory.take(greedy, UNIT_BYTES)]
  const other = await memory.join(() => {
    woken += 1
  })
  memory.take(other)
  memory.take(other)
  assert.equal(memory.take(other), undefined)
  assert.equal(woken, 0)
  if (slots[0]) memory.giveBack(greedy, slots[0])
  assert.equal(woken, 1)
  if (slots[1]) memory.giveBack(greedy, slots[1])
  assert.equal(woken, 1, 'it is woken once for each request')
})

it('borrowers that cannot be admitted wait and are admitted in the order in which they came', async () => {
  const memory = new SharedMemory(4 * UNIT_BYTES)
  const one = await memory.join(nothing)
  const two = await memory.join(nothing)
  const order: string[] = []
  const three = memory.join(nothing).then((borrower) => {
    order.push('three')
    return borrower
  })
  const four = memory.join(nothing).then(() => order.push('four'))
  memory.leave(one)
  memory.leave(await three)
  await four
  memory.leave(two)
  assert.deepEqual(order, ['three', 'four'])
})

it('a borrower that is not admitted in time gets an error', async () => {
  const memory = new SharedMemory(2 * UNIT_BYTES, { queueMs: 5 })
  await memory.join(nothing)
  await assert.rejects(memory.join(nothing), { code: 'disk', message: /too many contents/ })
})

it('no byte is lent twice, and every borrower can always get two slots', async () => {
  const step = fc.tuple(fc.nat(7), fc.constantFrom('take', 'small', 'back', 'back'))
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 300 }), async (steps) => {
      const memory = new SharedMemory(64 * UNIT_BYTES)
      const borrowers: { borrower: Borrower; slots: Slot[] }[] = []
      for (let n = 0; n < 8; n++) borrowers.push({ borrower: await memory.join(nothing), slots: [] })
      for (const [who, action] of steps) {
        const one = borrowers[who]
        if (one === undefined) continue
        if (action === 'back') {
          const slot = one.slots.shift()
          if (slot) memory.giveBack(one.borrower, slot)
        } else {
          const slot = memory.take(one.borrower, action === 'small' ? UNIT_BYTES : undefined)
          if (slot) one.slots.push(slot)
          assert.ok(
            slot !== undefined || one.borrower.borrowedBytes >= 2 * UNIT_BYTES,
            'two slots are guaranteed',
          )
        }
        const lent = borrowers.flatMap(({ slots }) => slots).sort((a, b) => a.offset - b.offset)
        for (const [at, slot] of lent.entries()) {
          const next = lent[at + 1]
          assert.ok(next === undefined || slot.offset + slot.bytes.length <= next.offset, 'lent twice')
        }
      }
    }),
  )
})
