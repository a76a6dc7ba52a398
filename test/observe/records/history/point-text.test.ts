import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countManifestTime, newPoint } from '../../../../src/observe/records/history/point.ts'
import { readPoint, writePoint } from '../../../../src/observe/records/history/point-text.ts'

test('a point is read as it was written, in at most 400 bytes', () => {
  const point = newPoint(Date.UTC(2026, 0, 31), 2 ** 40)
  point.served.local = 2 ** 40
  point.requests = 1_000_000
  point.failed = 3
  countManifestTime(point, 3)
  const text = writePoint(point)
  assert.deepEqual(readPoint(text), point)
  assert.ok(text.length < 400)
  assert.equal(readPoint(text.replace('[1,', '[2,')), undefined)
})
