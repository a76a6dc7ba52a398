import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PIECE_BYTES, Pieces } from '../../../src/peers/wire/send-buffers.ts'
import { unending } from '../../../testkit/peer-lab.ts'

const signal = unending()

test('one transfer alone has three pieces, many have one each', async () => {
  const pieces = new Pieces(4 * PIECE_BYTES)
  const first = pieces.seat('member-1')
  for (let n = 0; n < 3; n += 1) {
    assert.equal(first.isFull, false)
    await first.take({ signal })
  }
  assert.equal(first.isFull, true)
  const others = [pieces.seat('member-2'), pieces.seat('member-3'), pieces.seat('member-4')]
  for (const seat of others) {
    assert.equal(seat.isFull, false)
    void seat.take({ signal })
    assert.equal(seat.isFull, true)
  }
  assert.equal(pieces.lent, 4)
})

test('one member by many transfers leaves half of it to others', async () => {
  const pieces = new Pieces(8 * PIECE_BYTES)
  const greedy = Array.from({ length: 8 }, () => pieces.seat('greedy'))
  const taken = greedy.map((seat) => seat.take({ signal }))
  assert.equal(pieces.lent, 4)
  const other = pieces.seat('other')
  await other.take({ signal })
  assert.equal(pieces.lent, 5)
  const [seat] = greedy
  seat?.giveBack((await taken[0]) ?? assert.fail())
  await taken[4]
  assert.equal(pieces.lent, 5)
})

test('who finds no memory gets what comes back, in the order of asking', async () => {
  const pieces = new Pieces(PIECE_BYTES)
  const seat = pieces.seat('member-5')
  const piece = await seat.take({ signal })
  const order: string[] = []
  const one = pieces.seat('member-6')
  const two = pieces.seat('member-7')
  const first = one.take({ signal }).then((got) => {
    order.push('one')
    return got
  })
  const second = two.take({ signal }).then(() => order.push('two'))
  seat.giveBack(piece)
  assert.equal(await first, piece)
  assert.equal(pieces.lent, 1)
  one.giveBack(piece)
  await second
  assert.deepEqual(order, ['one', 'two'])
})

test('who stops waiting is passed over', async () => {
  const pieces = new Pieces(PIECE_BYTES)
  const seat = pieces.seat('member-8')
  const piece = await seat.take({ signal })
  const gone = new AbortController()
  const left = pieces.seat('member-9')
  const leaving = left.take({ signal: gone.signal })
  const stays = pieces.seat('member-10').take({ signal })
  gone.abort(new Error('left'))
  await assert.rejects(leaving, /left/)
  assert.equal(left.held, 0)
  seat.giveBack(piece)
  assert.equal(await stays, piece)
})

test('when nobody transfers anything hardly any memory is kept', async () => {
  const pieces = new Pieces(64 * PIECE_BYTES)
  const seats = Array.from({ length: 10 }, (_, at) => pieces.seat(`member-${at}`))
  const lent = await Promise.all(
    seats.flatMap((seat) => [0, 1, 2].map(async () => ({ seat, piece: await seat.take({ signal }) }))),
  )
  for (const seat of seats) seat.leave()
  for (const { seat, piece } of lent) seat.giveBack(piece)
  assert.equal(pieces.lent, 0)
  assert.ok(pieces.kept <= 4, `${pieces.kept} are kept`)
})
