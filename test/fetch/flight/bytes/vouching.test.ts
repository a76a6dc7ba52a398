import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Vouching } from '../../../../src/fetch/flight/bytes/vouching.ts'
import { CHECKPOINT_BYTES, CHECKPOINT_INTERVAL_BYTES, Checkpoints } from '../../../../src/oci/checkpoints.ts'
import type { Contributor } from '../../../../src/ports/source.ts'
import { contributor } from '../../support/peers.ts'

/** The limit when all bytes can be relied on. */
const NO_LIMIT = Number.POSITIVE_INFINITY
const ids = (contributors: readonly Contributor[]): string[] => contributors.map(({ id }) => id)
const at = (number: number): number => number * CHECKPOINT_INTERVAL_BYTES

/** Checkpoints that differ by these numbers. */
function checkpoints(...numbers: number[]): Uint8Array {
  return Uint8Array.from(
    { length: numbers.length * CHECKPOINT_BYTES },
    (_, n) => numbers[Math.floor(n / CHECKPOINT_BYTES)] ?? 0,
  )
}

/** The checkpoints of the bytes that have come. */
function own(...numbers: number[]): Checkpoints {
  const known = new Checkpoints()
  known.append(checkpoints(...numbers))
  return known
}

test('bytes of upstream are relied on, and bytes of a peer are not', () => {
  const vouching = new Vouching()
  assert.equal(vouching.limit, NO_LIMIT)
  vouching.startFrom(0, contributor('upstream'), false)
  assert.equal(vouching.limit, NO_LIMIT)
  vouching.startFrom(100_000, contributor('peer'), true)
  assert.equal(vouching.limit, 100_000)
  vouching.startFrom(200_000, contributor('upstream'), false)
  assert.equal(vouching.limit, 100_000)
  assert.deepEqual(ids(vouching.suspects), ['peer'])
})

test('a peer that has brought nothing holds no bytes back', () => {
  const vouching = new Vouching()
  vouching.startFrom(0, contributor('peer'), true)
  vouching.startFrom(0, contributor('upstream'), false)
  vouching.startFrom(50, contributor('peer'), true)
  vouching.startFrom(50, contributor('upstream'), false)
  assert.equal(vouching.limit, NO_LIMIT)
  assert.deepEqual(ids(vouching.suspects), [])
})

test('the last checkpoint that both sides have vouches for all bytes before it', () => {
  const vouching = new Vouching()
  vouching.startFrom(0, contributor('peer'), true)
  vouching.vouch(0, checkpoints(1, 2, 3, 4))
  assert.equal(vouching.limit, 0)
  assert.equal(vouching.check(own(1, 2)), undefined)
  assert.equal(vouching.limit, at(2))
  // Only the last checkpoints are compared, because those before them cannot differ when they agree.
  assert.equal(vouching.check(own(9, 9, 9, 4, 5)), undefined)
  assert.equal(vouching.limit, at(4))
  vouching.vouch(4, checkpoints(5, 6))
  assert.equal(vouching.check(own(1, 2, 3, 4, 5)), undefined)
  assert.equal(vouching.limit, at(5))
})

test('bytes need no earlier checkpoints than the first that somebody vouches for', () => {
  const vouching = new Vouching()
  vouching.startFrom(0, contributor('peer'), true)
  vouching.vouch(5, checkpoints(6, 7))
  assert.equal(vouching.check(own(1, 2, 3)), undefined)
  assert.equal(vouching.limit, 0)
  assert.equal(vouching.check(own(1, 2, 3, 4, 5, 6, 7)), undefined)
  assert.equal(vouching.limit, at(7))
  vouching.vouch(2, checkpoints(3, 4, 5, 6, 7, 8))
  assert.equal(vouching.check(own(1, 2, 3, 4, 5, 6, 7, 8)), undefined)
  assert.equal(vouching.limit, at(8))
})

test('a gap between checkpoints is skipped', () => {
  const vouching = new Vouching()
  vouching.startFrom(0, contributor('peer'), true)
  vouching.vouch(0, checkpoints(1, 2))
  vouching.vouch(10, checkpoints(11))
  assert.equal(vouching.check(own(1, 2, 3)), undefined)
  assert.equal(vouching.limit, 0)
  assert.equal(vouching.check(own(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)), undefined)
  assert.equal(vouching.limit, at(11))
})

test('only the contributor of the first wrong 64 KiB is a culprit', () => {
  const vouching = new Vouching()
  vouching.startFrom(0, contributor('one'), true)
  vouching.startFrom(at(2) + 5, contributor('two'), true)
  vouching.startFrom(at(4), contributor('three'), true)
  vouching.vouch(0, checkpoints(1, 2, 3, 4, 5, 6))
  assert.equal(vouching.check(own(1, 2)), undefined)
  assert.deepEqual(vouching.check(own(1, 2, 3, 9, 9)), { goodBytes: at(3), culprits: [contributor('two')] })
  vouching.takeBack(at(3))
  vouching.startFrom(at(3), contributor('four'), true)
  assert.equal(vouching.limit, at(3))
  assert.equal(vouching.check(own(1, 2, 3, 4, 5, 6)), undefined)
  assert.equal(vouching.limit, at(6))
})

test('both contributors of wrong 64 KiB are culprits', () => {
  const vouching = new Vouching()
  vouching.startFrom(0, contributor('one'), true)
  vouching.startFrom(at(1) + 5, contributor('two'), true)
  vouching.vouch(0, checkpoints(1, 2))
  assert.deepEqual(vouching.check(own(1, 9)), {
    goodBytes: at(1),
    culprits: [contributor('one'), contributor('two')],
  })
})

test('checkpoints that contradict upstream are no longer believed', () => {
  const vouching = new Vouching()
  vouching.startFrom(0, contributor('peer'), true)
  vouching.startFrom(at(2), contributor('upstream'), false)
  vouching.vouch(0, checkpoints(1, 2, 7, 8))
  assert.equal(vouching.check(own(1, 2)), undefined)
  assert.equal(vouching.limit, NO_LIMIT)
  assert.equal(vouching.check(own(1, 2, 3)), undefined)
  assert.equal(vouching.limit, 0)
  vouching.vouch(0, checkpoints(1, 2, 3))
  assert.equal(vouching.check(own(1, 2, 3)), undefined)
  assert.equal(vouching.limit, 0)
})

test('checkpoints that contradict each other are no longer believed', () => {
  const vouching = new Vouching()
  vouching.startFrom(0, contributor('peer'), true)
  vouching.vouch(0, checkpoints(1, 2, 3))
  vouching.vouch(1, checkpoints(2, 4))
  assert.equal(vouching.check(own(1)), undefined)
  assert.equal(vouching.limit, 0)
})

test('after two disputes no checkpoint is believed, and bytes that they vouched for are suspect again', () => {
  const vouching = new Vouching()
  vouching.startFrom(0, contributor('one'), true)
  vouching.vouch(0, checkpoints(1, 2, 3, 4))
  assert.deepEqual(vouching.check(own(1, 9)), { goodBytes: at(1), culprits: [contributor('one')] })
  vouching.takeBack(at(1))
  vouching.startFrom(at(1), contributor('two'), true)
  assert.deepEqual(vouching.check(own(1, 2, 9)), { goodBytes: at(2), culprits: [contributor('two')] })
  vouching.takeBack(at(2))
  vouching.startFrom(at(2), contributor('three'), true)
  assert.equal(vouching.limit, 0)
  assert.equal(vouching.check(own(1, 2, 8)), undefined)
  assert.deepEqual(ids(vouching.suspects).sort(), ['one', 'three', 'two'])
})

test('when the digest is wrong, the bytes without a checkpoint are disputed first', () => {
  const vouching = new Vouching()
  vouching.startFrom(0, contributor('one'), true)
  assert.equal(vouching.doubt(at(3)), undefined)
  vouching.startFrom(at(2), contributor('two'), true)
  vouching.vouch(0, checkpoints(1, 2))
  vouching.check(own(1, 2))
  assert.deepEqual(vouching.doubt(at(3)), { goodBytes: at(2), culprits: [contributor('two')] })
  assert.equal(vouching.doubt(at(2)), undefined, 'there is nothing else')
})

test('when the digest is wrong and all bytes had checkpoints, those are no longer believed', () => {
  const vouching = new Vouching()
  vouching.startFrom(0, contributor('one'), true)
  vouching.vouch(0, checkpoints(1, 2))
  vouching.check(own(1, 2))
  vouching.startOver()
  vouching.startFrom(0, contributor('two'), true)
  vouching.vouch(0, checkpoints(1, 2))
  vouching.check(own(1, 2))
  assert.equal(vouching.limit, 0)
})

test('malformed checkpoints are ignored, and contributors that change very often fill no memory', () => {
  const vouching = new Vouching()
  for (let n = 0; n < 10_000; n++) vouching.startFrom(n * 10, contributor(`peer ${n}`), true)
  assert.equal(vouching.limit, 0)
  assert.ok(vouching.suspects.length <= 256)
  vouching.vouch(-1, checkpoints(1))
  vouching.vouch(0.5, checkpoints(1))
  vouching.vouch(Number.NaN, checkpoints(1))
  vouching.vouch(0, new Uint8Array(7))
  assert.equal(vouching.check(own(1)), undefined)
  assert.equal(vouching.limit, 0)
})
