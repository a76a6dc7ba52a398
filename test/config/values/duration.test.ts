import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDuration } from '../../../src/config/values/duration.ts'
import { fc } from '../../../testkit/property-runs.ts'

test('durations are parsed with their units', () => {
  const table: readonly [string, number][] = [
    ['0', 0],
    ['0s', 0],
    ['500ms', 500],
    ['60s', 60_000],
    ['1.5m', 90_000],
    ['1h30m', 5_400_000],
    ['7d', 604_800_000],
    ['2w1d', 15 * 86_400_000],
  ]
  for (const [text, ms] of table) assert.equal(parseDuration(text), ms, text)
})

test('a text that is not a duration is refused', () => {
  for (const text of [
    '',
    '60',
    's',
    '1 h',
    '-1s',
    '1y',
    '1h1h',
    '30m1h',
    '1hour',
    '1h ',
    '999999999999w',
    '1e3s',
  ]) {
    assert.equal(parseDuration(text), undefined, text)
  }
})

test('parts in descending order are added', () => {
  fc.assert(
    fc.property(fc.nat(400), fc.nat(23), fc.nat(59), fc.nat(999), (d, h, m, ms) => {
      assert.equal(parseDuration(`${d}d${h}h${m}m${ms}ms`), d * 86_400_000 + h * 3_600_000 + m * 60_000 + ms)
    }),
  )
})

test('the parser never throws, and gives only usable numbers, whatever the text', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const ms = parseDuration(text)
      assert.ok(ms === undefined || (Number.isSafeInteger(ms) && ms >= 0))
    }),
  )
})
