import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  countManifestTime,
  isEmptyPoint,
  MANIFEST_BOUNDS_MS,
  manifestQuantile,
  newPoint,
  sumOfPoints,
} from '../../../../src/observe/records/history/point.ts'

test('the quantiles of manifest requests are the bounds of their classes', () => {
  const point = newPoint(0, 0)
  assert.equal(manifestQuantile(point, 0.5), undefined)
  for (let count = 0; count < 94; count += 1) countManifestTime(point, 0.4)
  for (let count = 0; count < 5; count += 1) countManifestTime(point, 30)
  countManifestTime(point, 99_999)
  assert.equal(manifestQuantile(point, 0.5), 1)
  assert.equal(manifestQuantile(point, 0.95), 50)
  assert.equal(manifestQuantile(point, 1), MANIFEST_BOUNDS_MS.at(-1))
})

test('a sum has what happened in both spans, and the size of the store at the end', () => {
  const earlier = newPoint(60_000, 10)
  const later = newPoint(120_000, 4)
  earlier.served.peer += 3
  later.served.peer += 4
  later.fetched.upstream += 9
  earlier.hits += 1
  countManifestTime(earlier, 1)
  countManifestTime(later, 1)
  const sum = sumOfPoints(earlier, later)
  assert.equal(sum.at, 60_000)
  assert.deepEqual([sum.served.peer, sum.fetched.upstream, sum.hits, sum.storeBytes], [7, 9, 1, 4])
  assert.equal(sum.manifestTimes[0], 2)
  assert.equal(isEmptyPoint(sum), false)
  assert.equal(isEmptyPoint(newPoint(0, 7)), true)
})
