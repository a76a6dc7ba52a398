import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BodyPieces } from '../../../src/export/readers/body-pieces.ts'

const PIECE_BYTES = 1024 * 1024

/** Fills the memory that the pieces lend, as a socket does, and ends them. */
async function fill(pieces: BodyPieces, bytes: Uint8Array, most: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const room = pieces.buffer()
    const part = bytes.subarray(at, at + Math.min(room.length, most))
    room.set(part)
    at += part.length
    if (!pieces.filled(part.length)) await pieces.drained()
  }
}

test('all bytes are given in order, however they come, with two pieces of memory', async () => {
  for (const [size, most] of [
    [0, 1],
    [10, 3],
    [PIECE_BYTES, 65_536],
    [5 * PIECE_BYTES + 17, 70_001],
  ] as const) {
    const bytes = Buffer.alloc(size)
    for (let at = 0; at < size; at += 1000) bytes.writeUInt8(at % 251, at)
    const pieces = new BodyPieces()
    const filling = fill(pieces, bytes, most).then(() => pieces.end())
    const found: Buffer[] = []
    const memory = new Set<ArrayBufferLike>()
    for await (const piece of pieces.pieces()) {
      memory.add(piece.buffer)
      found.push(Buffer.from(piece))
    }
    await filling
    assert.ok(Buffer.concat(found).equals(bytes))
    assert.ok(memory.size <= 2)
    assert.equal(pieces.received, size)
  }
})

test('a full reader stops the socket until a piece was taken', async () => {
  const pieces = new BodyPieces()
  pieces.buffer()
  assert.equal(pieces.filled(PIECE_BYTES), true)
  pieces.buffer()
  assert.equal(pieces.filled(PIECE_BYTES), false)
  assert.equal(pieces.isFull, true)
  const reading = pieces.pieces()
  await reading.next()
  assert.equal(pieces.isFull, true)
  await reading.next()
  await pieces.drained()
  assert.equal(pieces.isFull, false)
})

test('what came before a failure is given before it', async () => {
  const pieces = new BodyPieces()
  pieces.buffer().set(Buffer.from('abc'))
  pieces.filled(3)
  pieces.end(new Error('broken off'))
  const reading = pieces.pieces()
  assert.deepEqual((await reading.next()).value, new Uint8Array(Buffer.from('abc')))
  await assert.rejects(reading.next(), /broken off/)
})
