import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { SharedMemory, UNIT } from '../../../src/store/writing/shared-memory.ts'
import { Filling } from '../../../src/store/writing/write-window.ts'

it('whatever is filled is handed over once, in order, and all memory comes back', async () => {
  const step = fc.oneof(
    fc.record({ fill: fc.integer({ min: 1, max: 300_000 }) }),
    fc.constant('hand over' as const),
    fc.constant('written' as const),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 200 }), async (steps) => {
      const memory = new SharedMemory(12 * UNIT)
      const place = await memory.join(() => {})
      const filling = new Filling(memory, place, 0)
      const taken: number[] = []
      const handed: number[] = []
      let count = 0
      const copy = (piece: { offset: number; length: number } | undefined): void => {
        if (piece !== undefined)
          handed.push(...marks(new Uint8Array(memory.buffer, piece.offset, piece.length)))
      }
      for (const each of steps) {
        if (each === 'hand over') copy(filling.handOver())
        else if (each === 'written') {
          filling.written(filling.position)
          filling.reserve()
        } else if (filling.hasNext || filling.position === 0) {
          const { room } = filling
          assert.ok(room.length > 0)
          const length = Math.min(each.fill, room.length)
          room.fill(0, 0, length)
          count = (count % 255) + 1
          room[0] = count
          taken.push(count)
          filling.fill(length)
          assert.ok(filling.room.length > 0 || filling.hasNext)
          if (filling.isTurnDue) copy(filling.turn())
          assert.ok(filling.room.length > 0, 'there is always something to fill')
        }
      }
      copy(filling.handOver())
      assert.deepEqual(handed, taken)
      filling.end()
      assert.equal(place.held, 0)
    }),
  )
})

/** The bytes that are not zero. */
function marks(bytes: Uint8Array): number[] {
  const found: number[] = []
  for (const byte of bytes) if (byte !== 0) found.push(byte)
  return found
}

it('a slot is free again only when all of it is written', async () => {
  const memory = new SharedMemory(2 * UNIT)
  const place = await memory.join(() => {})
  const filling = new Filling(memory, place, 100)
  filling.fill(UNIT)
  filling.turn()
  assert.equal(filling.hasNext, false)
  filling.written(100 + UNIT - 1)
  assert.equal(filling.reserve(), false)
  filling.written(100 + UNIT)
  assert.equal(filling.reserve(), true)
})
