import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BodyBuffers, type Loan, mostBodies, type Piece } from '../../../src/registry-api/answer/buffers.ts'

const MIB = 1024 * 1024

function takeAll(loan: Loan, most = 10 * MIB): Piece[] {
  const pieces: Piece[] = []
  for (let piece = loan.take(most); piece !== undefined; piece = loan.take(most)) pieces.push(piece)
  return pieces
}

test('a lone body gets three big pieces', () => {
  const loan = new BodyBuffers(16 * MIB).open()
  assert.deepEqual(
    takeAll(loan).map((piece) => piece.bytes.length),
    [MIB, MIB, MIB],
  )
})

test('a small body gets a small piece', () => {
  assert.equal(new BodyBuffers(16 * MIB).open().take(1000)?.bytes.length, 64 * 1024)
})

test('pieces get smaller when there are more bodies', () => {
  const buffers = new BodyBuffers(16 * MIB)
  const loans = Array.from({ length: 16 }, () => buffers.open())
  assert.deepEqual(
    loans.flatMap((loan) => takeAll(loan)).map((piece) => piece.bytes.length),
    new Array(48).fill(256 * 1024),
  )
})

test('each body moves on, whatever the others hold', () => {
  const buffers = new BodyBuffers(2 * MIB)
  for (let i = 0; i < mostBodies(2 * MIB) - 1; i += 1) takeAll(buffers.open())
  const loan = buffers.open()
  for (let round = 0; round < 5; round += 1) {
    const piece = loan.take(MIB)
    assert.ok(piece !== undefined)
    piece.release()
  }
})

test('pieces are counted until they are back, also after their body has ended', () => {
  const buffers = new BodyBuffers(16 * MIB)
  const loan = buffers.open()
  const [first, ...others] = takeAll(loan)
  loan.close()
  for (const piece of others) piece.release()
  assert.equal(buffers.pieces, 1)
  first?.release()
  assert.equal(buffers.pieces, 0)
})

test('no two pieces overlap, nobody holds more than three, and all together stay within the limit', () => {
  const act = fc.record({
    loan: fc.nat(9),
    most: fc.integer({ min: 1, max: 2 * MIB }),
    release: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(act, { maxLength: 120 }), (acts) => {
      const buffers = new BodyBuffers(4 * MIB)
      const loans = Array.from({ length: 10 }, () => buffers.open())
      const held: Piece[][] = loans.map(() => [])
      for (const { loan, most, release } of acts) {
        const mine = held[loan] ?? []
        if (release) mine.shift()?.release()
        else {
          const piece = loans[loan]?.take(most)
          if (piece !== undefined) mine.push(piece)
        }
        assert.ok(mine.length <= 3)
        const all = held.flat().map(({ bytes }) => ({
          buffer: bytes.buffer,
          from: bytes.byteOffset,
          to: bytes.byteOffset + bytes.length,
        }))
        assert.ok(all.reduce((sum, { from, to }) => sum + to - from, 0) <= 4 * MIB)
        for (const [index, a] of all.entries()) {
          for (const b of all.slice(index + 1))
            assert.ok(a.buffer !== b.buffer || a.to <= b.from || b.to <= a.from)
        }
      }
      for (const loan of loans) loan.close()
      for (const piece of held.flat()) piece.release()
      assert.equal(buffers.pieces, 0)
    }),
    { numRuns: 50 },
  )
})
