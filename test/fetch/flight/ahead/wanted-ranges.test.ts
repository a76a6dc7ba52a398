import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WantedRanges } from '../../../../src/fetch/flight/ahead/wanted-ranges.ts'
import type { ByteRange } from '../../../../src/oci/range.ts'
import { AHEAD_UNIT_BYTES } from '../../../../src/ports/blob-store.ts'

const UNIT = AHEAD_UNIT_BYTES
const SIZE = 100 * UNIT + 10
const READER = {}
const nothing = (position: number): number => position

test('a range is asked for in whole units, and no further than the end of the content', () => {
  const wanted = new WantedRanges()
  wanted.add(READER, [{ start: 3 * UNIT + 5, end: 4 * UNIT + 1 }], SIZE)
  assert.deepEqual(
    wanted.next(nothing, () => 10 * UNIT),
    { start: 3 * UNIT, end: 5 * UNIT },
  )
  const last = new WantedRanges()
  last.add(READER, [{ start: SIZE - 5, end: SIZE }], SIZE)
  assert.deepEqual(
    last.next(nothing, () => 10 * UNIT),
    { start: 100 * UNIT, end: SIZE },
  )
})

test('a range begins with a whole unit although bytes are there up to the middle of one', () => {
  const wanted = new WantedRanges()
  wanted.add(READER, [{ start: UNIT, end: 6 * UNIT }], SIZE)
  const covered = (position: number): number => Math.max(position, 3 * UNIT + 7)
  assert.deepEqual(
    wanted.next(covered, () => 2 * UNIT),
    { start: 3 * UNIT, end: 5 * UNIT },
  )
})

test('a range that did not come is asked for again first', () => {
  const wanted = new WantedRanges()
  wanted.add(READER, [{ start: 0, end: UNIT }], SIZE)
  wanted.add(READER, [{ start: 5 * UNIT, end: 6 * UNIT }], SIZE)
  assert.equal(wanted.next(nothing, () => UNIT)?.start, 0)
  assert.equal(
    wanted.next(
      (at) => (at < UNIT ? UNIT : at),
      () => UNIT,
    )?.start,
    5 * UNIT,
  )
  wanted.lookAgain()
  assert.equal(wanted.next(nothing, () => UNIT)?.start, 0)
})

test('a large range is asked for in parts', () => {
  const wanted = new WantedRanges()
  wanted.add(READER, [{ start: 0, end: 5 * UNIT }], SIZE)
  let asked = 0
  const covered = (position: number): number => Math.max(position, asked)
  const parts: number[] = []
  for (
    let part = wanted.next(covered, () => 2 * UNIT);
    part !== undefined;
    part = wanted.next(covered, () => 2 * UNIT)
  ) {
    assert.equal(part.start, asked)
    asked = part.end
    parts.push(part.end - part.start)
  }
  assert.deepEqual(parts, [2 * UNIT, 2 * UNIT, UNIT])
})

test('what is covered is not asked for, before, inside or after a range', () => {
  const wanted = new WantedRanges()
  wanted.add(READER, [{ start: 0, end: 10 * UNIT }], SIZE)
  const covered = (position: number): number => {
    if (position < 2 * UNIT) return 2 * UNIT
    if (position >= 4 * UNIT && position < 6 * UNIT) return 6 * UNIT
    if (position >= 9 * UNIT && position < 12 * UNIT) return 12 * UNIT
    return position
  }
  assert.deepEqual(
    wanted.next(covered, () => 100 * UNIT),
    { start: 2 * UNIT, end: 4 * UNIT },
  )
  const more = (position: number): number => (position < 4 * UNIT ? 4 * UNIT : covered(position))
  assert.deepEqual(
    wanted.next(more, () => 100 * UNIT),
    { start: 6 * UNIT, end: 9 * UNIT },
  )
  const all = (position: number): number => (position < 9 * UNIT ? 9 * UNIT : covered(position))
  assert.equal(
    wanted.next(all, () => 100 * UNIT),
    undefined,
  )
})

test('ranges are asked for in the order in which they were requested', () => {
  const wanted = new WantedRanges()
  wanted.add(READER, [{ start: 50 * UNIT, end: 51 * UNIT }], SIZE)
  wanted.add(READER, [{ start: UNIT, end: 2 * UNIT }], SIZE)
  assert.equal(wanted.next(nothing, () => UNIT)?.start, 50 * UNIT)
  const first = (position: number): number => (position === 50 * UNIT ? 51 * UNIT : position)
  assert.equal(wanted.next(first, () => UNIT)?.start, UNIT)
})

test('the ranges of a reader that has left are not asked for, unless another one wants them', () => {
  const wanted = new WantedRanges()
  const other = {}
  wanted.add(READER, [{ start: 0, end: 9 * UNIT }], SIZE)
  wanted.add(other, [{ start: 2 * UNIT, end: 3 * UNIT }], SIZE)
  wanted.leave(READER)
  assert.deepEqual(
    wanted.next(nothing, () => 10 * UNIT),
    { start: 2 * UNIT, end: 3 * UNIT },
  )
  wanted.leave(other)
  assert.equal(
    wanted.next(nothing, () => UNIT),
    undefined,
  )
})

test('more than 1024 ranges are refused, and what a reader wants already does not count again', () => {
  const wanted = new WantedRanges()
  const size = 5000 * UNIT
  const single = (unit: number): ByteRange => ({ start: unit * UNIT, end: (unit + 1) * UNIT })
  for (let round = 0; round < 3; round++) {
    assert.equal(wanted.add(READER, [single(0), { start: 5, end: 10 }], size), true)
  }
  const others = Array.from({ length: 1023 }, (_, index) => single(2 * index + 2))
  assert.equal(wanted.add({}, [...others, single(4000)], size), false)
  assert.equal(wanted.add({}, others, size), true)
  assert.equal(wanted.add({}, [single(4000)], size), false)
  wanted.leave(READER)
  assert.equal(wanted.add({}, [single(4000)], size), true)
})
