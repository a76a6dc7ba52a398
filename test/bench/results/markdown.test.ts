import assert from 'node:assert/strict'
import { test } from 'node:test'
import { embedFigures, markdownTable } from '../../../bench/results/markdown.ts'
import { sampleCheck, sampleResult, sampleRow } from './sample-result.ts'

test('the table has the day, the machine and every check, the missed ones first', () => {
  const run = sampleResult([
    sampleRow([sampleCheck([1.2, 1.3, 1.4], { atLeast: 1 }), sampleCheck([5], { label: 'a | b' })]),
    sampleRow([sampleCheck([0.5], { atLeast: 0.9 })], { name: 'slow row' }),
  ])
  const [first, , , , ...rows] = markdownTable(run).split('\n')
  assert.match(first ?? '', /^Measured on 2026-01-31: 2 cores \(a processor\), Node v20\.20\.2, load 0\.1 /)
  assert.deepEqual(rows, [
    '| hits: slow row: compared with nginx | 0.50x | >= 0.90x | MISSED |',
    '| hits: stored blob: compared with nginx | 1.30x  (1.20..1.40) | >= 1.00x | ok |',
    '| hits: stored blob: a \\| b | 5.00x |  |  |',
  ])
})

test('only what is between the marks of a document is replaced', () => {
  const before = 'above\n<!-- figures of npm run bench -->\nold\n<!-- end of the figures -->\nbelow\n'
  const after = embedFigures(before, 'new')
  assert.equal(after, before.replace('old', 'new'))
  assert.equal(embedFigures(after, 'new'), after)
  assert.throws(() => embedFigures('no marks', 'new'), /lacks the lines/)
})
