import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseContentRange } from '../../../src/upstream/headers/content-range.ts'
import { fc } from '../../../testkit/property-runs.ts'

test('a range and the total size are parsed', () => {
  assert.deepEqual(parseContentRange('bytes 5-9/10'), { start: 5, end: 9, total: 10 })
  assert.deepEqual(parseContentRange(' Bytes 0-0/* '), { start: 0, end: 0, total: undefined })
})

for (const value of [
  undefined,
  '',
  'bytes */10',
  'bytes 5-4/10',
  'bytes 5-10/10',
  'bytes=5-9/10',
  'lines 5-9/10',
]) {
  test(`${value} is not a valid range`, () => assert.equal(parseContentRange(value), undefined))
}

test('a valid range lies within the total size', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.nat(), (start, end, total) => {
      const range = parseContentRange(`bytes ${start}-${end}/${total}`)
      assert.equal(range !== undefined, start <= end && end < total)
    }),
  )
})
