import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { AheadRoom } from '../../../../src/fetch/flight/ahead/ahead-room.ts'
import { KeptAhead } from '../../../../src/fetch/flight/ahead/kept-ahead.ts'
import { AHEAD_UNIT_BYTES } from '../../../../src/ports/blob-store.ts'
import { MemoryIntake } from '../../../../testkit/memory/memory-intake.ts'
import { MemoryStore } from '../../../../testkit/memory/memory-store.ts'
import { wantOf } from '../../support/flights.ts'

const UNIT = AHEAD_UNIT_BYTES
const BYTES = randomBytes(10 * UNIT + 7)
const ROOM_BYTES = 100 * UNIT

async function setUp(store = new MemoryStore()) {
  const room = new AheadRoom(ROOM_BYTES)
  const kept = new KeptAhead(await store.begin(wantOf(BYTES)), room)
  const file = await kept.open()
  return { kept, file, room }
}

test('bytes are given to an intake as far as they are there, and counted', async () => {
  const { kept, file } = await setUp()
  await file?.write(BYTES.subarray(2 * UNIT, 5 * UNIT), 2 * UNIT)
  const counts: number[] = []
  const options = { onBytes: (count: number) => void counts.push(count) }
  const before = new MemoryIntake()
  assert.equal(await kept.moveTo(before, BYTES.length, options), 'nothing')
  const intake = new MemoryIntake({ start: BYTES.subarray(0, 2 * UNIT + 5) })
  assert.equal(await kept.moveTo(intake, BYTES.length, options), 'moved')
  assert.deepEqual(Buffer.from(intake.bytes), BYTES.subarray(0, 5 * UNIT))
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    3 * UNIT - 5,
  )
})

test('what is missing of a range does not count before the position', async () => {
  const { kept, file } = await setUp()
  await file?.write(BYTES.subarray(2 * UNIT, 5 * UNIT), 2 * UNIT)
  assert.equal(kept.isMissing({ start: 0, end: 3 * UNIT }, 0), true)
  assert.equal(kept.isMissing({ start: 0, end: 3 * UNIT }, 2 * UNIT), false)
  assert.equal(kept.isMissing({ start: 3 * UNIT, end: 6 * UNIT }, 0), true)
})

test('a disk that does not give bytes back is said to be broken', async () => {
  const { kept, file } = await setUp()
  assert.ok(file !== undefined)
  await file.write(BYTES.subarray(0, UNIT), 0)
  file.read = async () => 0
  assert.equal(await kept.read(Buffer.alloc(10), 0), 'broken')
  assert.equal(await kept.read(Buffer.alloc(10), 5 * UNIT), 0)
  const moved = await kept.moveTo(new MemoryIntake(), BYTES.length, { onBytes: () => {} })
  assert.equal(moved, 'broken')
})

test('what is forgotten frees its room, and what was given up takes nothing any more', async () => {
  const { kept, file, room } = await setUp()
  await file?.write(BYTES.subarray(0, UNIT), 0)
  assert.equal(room.freeBytes, ROOM_BYTES - UNIT)
  await kept.forget()
  assert.equal(room.freeBytes, ROOM_BYTES)
  assert.equal(kept.endFrom(0), 0)
  assert.equal(kept.isBroken, false)
  kept.giveUp()
  assert.equal(kept.isBroken, true)
})

test('a disk that takes no bytes ahead is broken', async () => {
  const store = new MemoryStore()
  store.takesAhead = false
  const { kept, file } = await setUp(store)
  assert.equal(file, undefined)
  assert.equal(kept.isBroken, true)
})
