import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AheadRoom } from '../../../../src/fetch/flight/ahead/ahead-room.ts'
import { AHEAD_UNIT_BYTES } from '../../../../src/ports/blob-store.ts'
import { MemoryAhead } from '../../../../testkit/memory/memory-ahead.ts'

test('all files together have the room, and a closed one gives its part back', async () => {
  const room = new AheadRoom(3 * AHEAD_UNIT_BYTES)
  const files = [new MemoryAhead(), new MemoryAhead()] as const
  for (const file of files) {
    room.add(file)
    await file.write(new Uint8Array(AHEAD_UNIT_BYTES), 0)
  }
  assert.equal(room.freeBytes, AHEAD_UNIT_BYTES)
  await files[0].write(new Uint8Array(5 * AHEAD_UNIT_BYTES), 0)
  assert.equal(room.freeBytes, 0)
  room.remove(files[0])
  assert.equal(room.freeBytes, 2 * AHEAD_UNIT_BYTES)
})
