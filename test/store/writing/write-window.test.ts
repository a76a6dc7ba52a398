import assert from 'node:assert/strict'
import { it } from 'node:test'
import { SharedMemory, UNIT_BYTES } from '../../../src/lanes/shared-memory.ts'
import { WriteWindow } from '../../../src/store/writing/write-window.ts'
import { fc } from '../../../testkit/property-runs.ts'

it('all that is filled is handed over once, in order, and all memory is given back', async () => {
  const step = fc.oneof(
    fc.record({ fill: fc.integer({ min: 1, max: 300_000 }) }),
    fc.constant('hand over' as const),
    fc.constant('written' as const),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 200 }), async (steps) => {
      const memory = new SharedMemory(12 * UNIT_BYTES)
      const borrower = await memory.join(() => {})
      const window = new WriteWindow(memory, borrower, 0)
      const taken: number[] = []
      const handed: number[] = []
      let count = 0
      const copy = (piece: { offset: number; length: number } | undefined): void => {
        if (piece !== undefined)
          handed.push(...nonZero(new Uint8Array(memory.buffer, piece.offset, piece.length)))
      }
      for (const each of steps) {
        if (each === 'hand over') copy(window.handOver())
        else if (each === 'written') {
          window.written(window.position)
          window.takeNextSlot()
        } else if (window.nextSlot !== undefined || window.position === 0) {
          const { free: room } = window
          assert.ok(room.length > 0)
          const length = Math.min(each.fill, room.length)
          room.fill(0, 0, length)
          count = (count % 255) + 1
          room[0] = count
          taken.push(count)
          window.fill(length)
          assert.ok(window.free.length > 0 || window.nextSlot !== undefined)
          if (window.isSlotChangeDue) copy(window.changeSlot())
          assert.ok(window.free.length > 0, 'there are always free bytes to fill')
        }
      }
      copy(window.handOver())
      assert.deepEqual(handed, taken)
      window.release()
      assert.equal(borrower.borrowedBytes, 0)
    }),
  )
})

/** The bytes that are not zero. */
function nonZero(bytes: Uint8Array): number[] {
  const found: number[] = []
  for (const byte of bytes) if (byte !== 0) found.push(byte)
  return found
}

it('a slot is given back only when all of it is written', async () => {
  const memory = new SharedMemory(2 * UNIT_BYTES)
  const borrower = await memory.join(() => {})
  const window = new WriteWindow(memory, borrower, 100)
  window.fill(UNIT_BYTES)
  window.changeSlot()
  assert.equal(window.nextSlot, undefined)
  window.written(100 + UNIT_BYTES - 1)
  assert.equal(window.takeNextSlot(), false)
  window.written(100 + UNIT_BYTES)
  assert.equal(window.takeNextSlot(), true)
})
