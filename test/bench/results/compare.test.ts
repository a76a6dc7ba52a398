import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareResults, printComparison, verdictOf } from '../../../bench/results/compare.ts'
import { sampleCheck, sampleResult, sampleRow } from './sample-result.ts'

test('values that overlap in their spread are the same, others are better or worse by the direction of the target', () => {
  const atLeast = { atLeast: 1 }
  const atMost = { atMost: 1 }
  const before = [1, 1.1, 1.2]
  const table = [
    [atLeast, [1.15, 1.3], 'same'],
    [atLeast, [1.21, 1.3], 'better'],
    [atLeast, [0.8, 0.99], 'worse'],
    [atMost, [1.21, 1.3], 'worse'],
    [atMost, [0.8, 0.99], 'better'],
    [{}, [2, 3], 'changed'],
    [atLeast, [], 'changed'],
  ] as const
  for (const [target, after, verdict] of table) {
    assert.equal(verdictOf(sampleCheck(before, target), sampleCheck(after, target)), verdict, `${after}`)
  }
})

test('of single values a difference of less than a tenth is the same', () => {
  const target = { atLeast: 1 }
  assert.equal(verdictOf(sampleCheck([1], target), sampleCheck([1.08], target)), 'same')
  assert.equal(verdictOf(sampleCheck([1], target), sampleCheck([1.2], target)), 'better')
})

test('checks are found by group, row and label, and those of one run only are told', () => {
  const first = sampleResult([sampleRow([sampleCheck([1], { atLeast: 1 })])])
  const second = sampleResult([
    sampleRow([sampleCheck([2], { atLeast: 1 })]),
    sampleRow([sampleCheck([3])], { name: 'new row' }),
  ])
  const comparisons = compareResults(first, second)
  assert.deepEqual(
    comparisons.map(({ name, verdict }) => [name, verdict]),
    [
      ['hits: stored blob: compared with nginx', 'better'],
      ['hits: new row: compared with nginx', 'only in the second'],
    ],
  )
  const text = printComparison(comparisons)
  assert.match(text, /^better +hits: stored blob: compared with nginx +1\.00x +-> +2\.00x$/m)
  assert.match(text, /^1 better, 0 worse, 0 the same within the spread, 0 changed$/m)
})
