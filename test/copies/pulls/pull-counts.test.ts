import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PullCounts } from '../../../src/copies/pulls/pull-counts.ts'

test('the last of enough pulls within the time is noticed, and the count begins again', () => {
  let now = 0
  const counts = new PullCounts({ times: 3, withinMs: 100, now: () => now })
  const add = (at: number, image = 'a'): boolean => {
    now = at
    return counts.add(image)
  }
  assert.deepEqual(
    [add(0), add(50), add(60, 'b'), add(101), add(120), add(121)],
    [false, false, false, false, true, false],
  )
  const once = new PullCounts({ times: 1, withinMs: 1 })
  assert.deepEqual([once.add('a'), once.add('a')], [true, true])
})
