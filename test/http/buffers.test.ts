import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BodyBuffers, type Piece, type Seat } from '../../src/http/buffers.ts'

const MIB = 1024 * 1024
const forever = new AbortController().signal

function takeAll(seat: Seat, most = 10 * MIB): Piece[] {
  const pieces: Piece[] = []
  for (let piece = seat.take(most); piece !== undefined; piece = seat.take(most)) pieces.push(piece)
  return pieces
}

test('a lone response gets three big pieces', async () => {
  const seat = await new BodyBuffers(16 * MIB).seat({ signal: forever })
  assert.deepEqual(
    takeAll(seat).map((piece) => piece.bytes.length),
    [MIB, MIB, MIB],
  )
})

test('a small body gets a small piece', async () => {
  const seat = await new BodyBuffers(16 * MIB).seat({ signal: forever })
  assert.equal(seat.take(1000)?.bytes.length, 64 * 1024)
})

test('pieces get smaller when responses get more', async () => {
  const buffers = new BodyBuffers(16 * MIB)
  const seats: Seat[] = []
  for (let i = 0; i < 16; i += 1) seats.push(await buffers.seat({ signal: forever }))
  assert.deepEqual(
    seats.flatMap((seat) => takeAll(seat)).map((piece) => piece.bytes.length),
    new Array(48).fill(256 * 1024),
  )
})

test('whoever has a seat moves on, whatever the others hold', async () => {
  const buffers = new BodyBuffers(2 * MIB)
  const hogs: Piece[] = []
  const seats = Math.floor((2 * MIB) / 4 / (16 * 1024))
  for (let i = 0; i < seats - 1; i += 1) hogs.push(...takeAll(await buffers.seat({ signal: forever })))
  const seat = await buffers.seat({ signal: forever })
  for (let round = 0; round < 5; round += 1) {
    const piece = seat.take(MIB)
    assert.ok(piece !== undefined)
    piece.release()
  }
})

test('who finds no seat waits, and they come in the order they came', async () => {
  const buffers = new BodyBuffers(32 * 1024)
  const first = await buffers.seat({ signal: forever })
  const order: number[] = []
  const second = buffers.seat({ signal: forever }).then((seat) => {
    order.push(2)
    return seat
  })
  const third = buffers.seat({ signal: forever }).then((seat) => {
    order.push(3)
    return seat
  })
  first.leave()
  ;(await second).leave()
  ;(await third).leave()
  assert.deepEqual(order, [2, 3])
  assert.equal(buffers.seated, 0)
})

test('who gives up waiting takes nobody a seat', async () => {
  const buffers = new BodyBuffers(32 * 1024)
  const first = await buffers.seat({ signal: forever })
  const impatient = new AbortController()
  const waiting = buffers.seat({ signal: impatient.signal })
  impatient.abort(new Error('enough'))
  await assert.rejects(waiting, /enough/)
  await assert.rejects(buffers.seat({ signal: impatient.signal }), /enough/)
  first.leave()
  assert.equal(buffers.seated, 0)
})

test('a seat is free only when its last piece is back', async () => {
  const buffers = new BodyBuffers(16 * MIB)
  const seat = await buffers.seat({ signal: forever })
  const [first, ...others] = takeAll(seat)
  seat.leave()
  for (const piece of others) piece.release()
  assert.equal(buffers.seated, 1)
  first?.release()
  assert.equal(buffers.seated, 0)
})

test('no two pieces overlap, nobody holds more than three, and all together stay within the limit', async () => {
  const act = fc.record({
    seat: fc.nat(9),
    most: fc.integer({ min: 1, max: 2 * MIB }),
    release: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 120 }), async (acts) => {
      const buffers = new BodyBuffers(4 * MIB)
      const seats: Seat[] = []
      for (let i = 0; i < 10; i += 1) seats.push(await buffers.seat({ signal: forever }))
      const held: Piece[][] = seats.map(() => [])
      for (const { seat, most, release } of acts) {
        const mine = held[seat] ?? []
        if (release) mine.shift()?.release()
        else {
          const piece = seats[seat]?.take(most)
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
      for (const seat of seats) seat.leave()
      for (const piece of held.flat()) piece.release()
      assert.equal(buffers.seated, 0)
    }),
    { numRuns: 50 },
  )
})
