import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backoffMs } from '../../../src/lib/async/backoff.ts'

test('each wait is twice as long as the one before it', () => {
  const waits = [1, 2, 3, 4].map((failed) => backoffMs(failed, { firstMs: 100 }))
  assert.deepEqual(waits, [100, 200, 400, 800])
})

test('no wait is longer than the limit, after any number of attempts', () => {
  const waits = [1, 2, 3, 100, 10_000].map((failed) => backoffMs(failed, { firstMs: 100, maxMs: 250 }))
  assert.deepEqual(waits, [100, 200, 250, 250, 250])
})

test('the jitter makes a wait longer by a part of it, also beyond the limit', () => {
  const wait = (failed: number, random: number): number =>
    backoffMs(failed, { firstMs: 100, maxMs: 200, jitter: 0.5, random: () => random })
  assert.deepEqual([wait(1, 0), wait(1, 0.5), wait(1, 1)], [100, 125, 150])
  assert.deepEqual([wait(9, 0), wait(9, 1)], [200, 300])
})

test('the jitter comes from Math.random by default', () => {
  for (let n = 0; n < 100; n += 1) {
    const wait = backoffMs(1, { firstMs: 100, jitter: 1 })
    assert.ok(wait >= 100 && wait < 200, `${wait}`)
  }
})
