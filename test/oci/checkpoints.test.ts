import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CHECKPOINT_BYTES, CHECKPOINT_INTERVAL_BYTES, Checkpoints } from '../../src/oci/checkpoints.ts'

const numbered = (from: number, count: number): Uint8Array =>
  Uint8Array.from({ length: count * CHECKPOINT_BYTES }, (_, at) => from + Math.floor(at / CHECKPOINT_BYTES))

test('checkpoints are given as they were appended, however many at a time', () => {
  const marks = new Checkpoints()
  assert.equal(marks.count, 0)
  assert.equal(marks.since(0).length, 0)
  marks.append(numbered(0, 3))
  marks.append(numbered(3, 1))
  marks.append(numbered(4, 100))
  assert.equal(marks.count, 104)
  assert.equal(marks.coveredBytes, 104 * CHECKPOINT_INTERVAL_BYTES)
  assert.deepEqual(marks.since(0), numbered(0, 104))
  assert.deepEqual(marks.since(100), numbered(100, 4))
  assert.deepEqual(marks.since(2, 4), numbered(2, 2))
  assert.equal(marks.since(104).length, 0)
  assert.equal(marks.since(500).length, 0)
  assert.deepEqual(Uint8Array.from(marks.at(103)), numbered(103, 1))
  assert.throws(() => marks.at(104), RangeError)
})

test('after a cut, other checkpoints follow', () => {
  const marks = new Checkpoints()
  marks.append(numbered(0, 10))
  const before = marks.since(0)
  marks.truncate(20)
  assert.equal(marks.count, 10)
  marks.truncate(4)
  marks.append(numbered(50, 2))
  assert.deepEqual(marks.since(0), new Uint8Array([...numbered(0, 4), ...numbered(50, 2)]))
  assert.deepEqual(before, numbered(0, 10), 'what was given out is a copy')
  marks.truncate(0)
  assert.equal(marks.count, 0)
})

test('an incomplete checkpoint is ignored, and the number of checkpoints is bounded', () => {
  const marks = new Checkpoints()
  marks.append(new Uint8Array(CHECKPOINT_BYTES + 5))
  assert.equal(marks.count, 1)
  marks.append(new Uint8Array(2 ** 20 * CHECKPOINT_BYTES))
  assert.equal(marks.count, 2 ** 20)
  marks.append(new Uint8Array(CHECKPOINT_BYTES))
  assert.equal(marks.count, 2 ** 20)
})
