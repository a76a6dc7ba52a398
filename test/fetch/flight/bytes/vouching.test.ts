import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Vouching } from '../../../../src/fetch/flight/bytes/vouching.ts'
import { CHECKPOINT_BYTES, CHECKPOINT_INTERVAL_BYTES, Checkpoints } from '../../../../src/oci/checkpoints.ts'
import type { Contributor } from '../../../../src/ports/source.ts'

const FREE = Number.POSITIVE_INFINITY
/** Its name is not its own. */
const giver = (id: string): Contributor => ({ id, name: 'node' })
const ids = (givers: readonly Contributor[]): string[] => givers.map(({ id }) => id)
const at = (number: number): number => number * CHECKPOINT_INTERVAL_BYTES

/** Marks that are told apart by these numbers. */
function marks(...numbers: number[]): Uint8Array {
  return Uint8Array.from(
    { length: numbers.length * CHECKPOINT_BYTES },
    (_, n) => numbers[Math.floor(n / CHECKPOINT_BYTES)] ?? 0,
  )
}

function own(...numbers: number[]): Checkpoints {
  const known = new Checkpoints()
  known.append(marks(...numbers))
  return known
}

test('what upstream brings is relied on, what a peer brings is not', () => {
  const trust = new Vouching()
  assert.equal(trust.limit, FREE)
  trust.startFrom(0, giver('upstream'), false)
  assert.equal(trust.limit, FREE)
  trust.startFrom(100_000, giver('peer'), true)
  assert.equal(trust.limit, 100_000)
  trust.startFrom(200_000, giver('upstream'), false)
  assert.equal(trust.limit, 100_000)
  assert.deepEqual(ids(trust.suspects), ['peer'])
})

test('a peer that has brought nothing keeps nothing back', () => {
  const trust = new Vouching()
  trust.startFrom(0, giver('peer'), true)
  trust.startFrom(0, giver('upstream'), false)
  trust.startFrom(50, giver('peer'), true)
  trust.startFrom(50, giver('upstream'), false)
  assert.equal(trust.limit, FREE)
  assert.deepEqual(ids(trust.suspects), [])
})

test('the latest mark that both have vouches for everything before it', () => {
  const trust = new Vouching()
  trust.startFrom(0, giver('peer'), true)
  trust.vouch(0, marks(1, 2, 3, 4))
  assert.equal(trust.limit, 0)
  assert.equal(trust.check(own(1, 2)), undefined)
  assert.equal(trust.limit, at(2))
  // Compared with the last one only: those before it cannot be others.
  assert.equal(trust.check(own(9, 9, 9, 4, 5)), undefined)
  assert.equal(trust.limit, at(4))
  trust.vouch(4, marks(5, 6))
  assert.equal(trust.check(own(1, 2, 3, 4, 5)), undefined)
  assert.equal(trust.limit, at(5))
})

test('one who comes late needs no earlier marks', () => {
  const trust = new Vouching()
  trust.startFrom(0, giver('peer'), true)
  trust.vouch(5, marks(6, 7))
  assert.equal(trust.check(own(1, 2, 3)), undefined)
  assert.equal(trust.limit, 0)
  assert.equal(trust.check(own(1, 2, 3, 4, 5, 6, 7)), undefined)
  assert.equal(trust.limit, at(7))
  trust.vouch(2, marks(3, 4, 5, 6, 7, 8))
  assert.equal(trust.check(own(1, 2, 3, 4, 5, 6, 7, 8)), undefined)
  assert.equal(trust.limit, at(8))
})

test('a gap in what is vouched for is passed over', () => {
  const trust = new Vouching()
  trust.startFrom(0, giver('peer'), true)
  trust.vouch(0, marks(1, 2))
  trust.vouch(10, marks(11))
  assert.equal(trust.check(own(1, 2, 3)), undefined)
  assert.equal(trust.limit, 0)
  assert.equal(trust.check(own(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)), undefined)
  assert.equal(trust.limit, at(11))
})

test('whoever brought the first wrong piece is to blame, and nobody else', () => {
  const trust = new Vouching()
  trust.startFrom(0, giver('one'), true)
  trust.startFrom(at(2) + 5, giver('two'), true)
  trust.startFrom(at(4), giver('three'), true)
  trust.vouch(0, marks(1, 2, 3, 4, 5, 6))
  assert.equal(trust.check(own(1, 2)), undefined)
  assert.deepEqual(trust.check(own(1, 2, 3, 9, 9)), { goodBytes: at(3), culprits: [giver('two')] })
  trust.takeBack(at(3))
  trust.startFrom(at(3), giver('four'), true)
  assert.equal(trust.limit, at(3))
  assert.equal(trust.check(own(1, 2, 3, 4, 5, 6)), undefined)
  assert.equal(trust.limit, at(6))
})

test('of a piece that two have brought, both may be to blame', () => {
  const trust = new Vouching()
  trust.startFrom(0, giver('one'), true)
  trust.startFrom(at(1) + 5, giver('two'), true)
  trust.vouch(0, marks(1, 2))
  assert.deepEqual(trust.check(own(1, 9)), { goodBytes: at(1), culprits: [giver('one'), giver('two')] })
})

test('what contradicts upstream is a lie, and is not believed any more', () => {
  const trust = new Vouching()
  trust.startFrom(0, giver('peer'), true)
  trust.startFrom(at(2), giver('upstream'), false)
  trust.vouch(0, marks(1, 2, 7, 8))
  assert.equal(trust.check(own(1, 2)), undefined)
  assert.equal(trust.limit, FREE)
  assert.equal(trust.check(own(1, 2, 3)), undefined)
  assert.equal(trust.limit, 0)
  trust.vouch(0, marks(1, 2, 3))
  assert.equal(trust.check(own(1, 2, 3)), undefined)
  assert.equal(trust.limit, 0)
})

test('what contradicts itself is not believed any more', () => {
  const trust = new Vouching()
  trust.startFrom(0, giver('peer'), true)
  trust.vouch(0, marks(1, 2, 3))
  trust.vouch(1, marks(2, 4))
  assert.equal(trust.check(own(1)), undefined)
  assert.equal(trust.limit, 0)
})

test('after the second dispute nothing is believed, and what was vouched for before is suspect again', () => {
  const trust = new Vouching()
  trust.startFrom(0, giver('one'), true)
  trust.vouch(0, marks(1, 2, 3, 4))
  assert.deepEqual(trust.check(own(1, 9)), { goodBytes: at(1), culprits: [giver('one')] })
  trust.takeBack(at(1))
  trust.startFrom(at(1), giver('two'), true)
  assert.deepEqual(trust.check(own(1, 2, 9)), { goodBytes: at(2), culprits: [giver('two')] })
  trust.takeBack(at(2))
  trust.startFrom(at(2), giver('three'), true)
  assert.equal(trust.limit, 0)
  assert.equal(trust.check(own(1, 2, 8)), undefined)
  assert.deepEqual(ids(trust.suspects).sort(), ['one', 'three', 'two'])
})

test('when all of it is wrong, what nobody has vouched for is doubted first', () => {
  const trust = new Vouching()
  trust.startFrom(0, giver('one'), true)
  assert.equal(trust.doubt(at(3)), undefined)
  trust.startFrom(at(2), giver('two'), true)
  trust.vouch(0, marks(1, 2))
  trust.check(own(1, 2))
  assert.deepEqual(trust.doubt(at(3)), { goodBytes: at(2), culprits: [giver('two')] })
  assert.equal(trust.doubt(at(2)), undefined, 'there is nothing else')
})

test('when all of it is wrong and vouched for, the vouching was a lie', () => {
  const trust = new Vouching()
  trust.startFrom(0, giver('one'), true)
  trust.vouch(0, marks(1, 2))
  trust.check(own(1, 2))
  trust.startOver()
  trust.startFrom(0, giver('two'), true)
  trust.vouch(0, marks(1, 2))
  trust.check(own(1, 2))
  assert.equal(trust.limit, 0)
})

test('nonsense is no vouching, and peers that change all the time fill no memory', () => {
  const trust = new Vouching()
  for (let n = 0; n < 10_000; n++) trust.startFrom(n * 10, giver(`peer ${n}`), true)
  assert.equal(trust.limit, 0)
  assert.ok(trust.suspects.length <= 256)
  trust.vouch(-1, marks(1))
  trust.vouch(0.5, marks(1))
  trust.vouch(Number.NaN, marks(1))
  trust.vouch(0, new Uint8Array(7))
  assert.equal(trust.check(own(1)), undefined)
  assert.equal(trust.limit, 0)
})
