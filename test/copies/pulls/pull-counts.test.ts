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

test('many pulls are counted, and those that are too old are not', () => {
  let now = 0
  const counts = new PullCounts({ times: 100, withinMs: 1000, now: () => now })
  const add = (from: number, to: number): number[] => {
    const enoughAt: number[] = []
    for (now = from; now < to; now += 1) if (counts.add('a')) enoughAt.push(now)
    return enoughAt
  }
  assert.deepEqual(add(0, 250), [99, 199])
  // The fifty of before are too old.
  assert.deepEqual(add(1300, 1400), [1399])
  assert.deepEqual(add(1400, 1499), [])
  assert.deepEqual(add(2300, 2302), [2300])
})
