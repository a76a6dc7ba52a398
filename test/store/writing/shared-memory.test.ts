import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { type Borrower, SharedMemory, type Slot, UNIT } from '../../../src/store/writing/shared-memory.ts'

const MIB = 1024 * 1024
const nothing = (): void => {}

it('one borrower alone gets large slots, and all of the memory', async () => {
  const memory = new SharedMemory(16 * MIB)
  const borrower = await memory.join(nothing)
  const slots: Slot[] = []
  for (let slot = memory.take(borrower); slot !== undefined; slot = memory.take(borrower)) slots.push(slot)
  assert.equal(slots.length, 16)
  assert.ok(slots.every(({ bytes }) => bytes.length === MIB && bytes.buffer === memory.buffer))
})

it('64 borrowers get two slots each, whatever the first of them wanted', async () => {
  const memory = new SharedMemory(16 * MIB)
  const borrowers: Borrower[] = []
  const first = await memory.join(nothing)
  for (let n = 0; n < 8; n++) assert.equal(memory.take(first)?.bytes.length, MIB)
  for (let n = 1; n < 64; n++) borrowers.push(await memory.join(nothing))
  for (const borrower of borrowers) assert.ok(memory.take(borrower, UNIT))
  for (const borrower of borrowers) assert.ok(memory.take(borrower))
})

it('nobody takes what is owed to those who have not asked yet', async () => {
  const memory = new SharedMemory(12 * UNIT)
  const early = await memory.join(nothing)
  for (let n = 0; n < 3; n++) assert.equal(memory.take(early)?.bytes.length, 2 * UNIT)
  const [one, ...others] = [
    await memory.join(nothing),
    await memory.join(nothing),
    await memory.join(nothing),
  ]
  assert.ok(one && memory.take(one) && memory.take(one))
  assert.equal(memory.take(one), undefined, 'its share is three, but the rest is owed')
  for (const other of others) assert.ok(memory.take(other) && memory.take(other))
})

it('who asked in vain is woken when there is memory again', async () => {
  let woken = 0
  const memory = new SharedMemory(4 * UNIT)
  const greedy = await memory.join(nothing)
  const slots = [memory.take(greedy, UNIT), memory.take(greedy, UNIT)]
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
  assert.equal(woken, 1, 'once for each time it asked')
})

it('who finds no place waits for one, in the order of coming', async () => {
  const memory = new SharedMemory(4 * UNIT)
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

it('who finds no place in time is told so', async () => {
  const memory = new SharedMemory(2 * UNIT, { queueMs: 5 })
  await memory.join(nothing)
  await assert.rejects(memory.join(nothing), { code: 'disk', message: /too many blobs/ })
})

it('no byte is lent twice, and everybody can always get two slots', async () => {
  const step = fc.tuple(fc.nat(7), fc.constantFrom('take', 'small', 'back', 'back'))
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 300 }), async (steps) => {
      const memory = new SharedMemory(64 * UNIT)
      const places: { place: Borrower; slots: Slot[] }[] = []
      for (let n = 0; n < 8; n++) places.push({ place: await memory.join(nothing), slots: [] })
      for (const [who, what] of steps) {
        const one = places[who]
        if (one === undefined) continue
        if (what === 'back') {
          const slot = one.slots.shift()
          if (slot) memory.giveBack(one.place, slot)
        } else {
          const slot = memory.take(one.place, what === 'small' ? UNIT : undefined)
          if (slot) one.slots.push(slot)
          assert.ok(slot !== undefined || one.place.held >= 2 * UNIT, 'two are owed')
        }
        const lent = places.flatMap(({ slots }) => slots).sort((a, b) => a.offset - b.offset)
        for (const [at, slot] of lent.entries()) {
          const next = lent[at + 1]
          assert.ok(next === undefined || slot.offset + slot.bytes.length <= next.offset, 'lent twice')
        }
      }
    }),
  )
})
