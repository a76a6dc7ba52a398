import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRetryAfter } from '../../../src/upstream/headers/retry-after.ts'

const NOW = Date.parse('2026-01-01T00:00:00Z')
const DAY = 86_400_000

const TABLE: readonly [string | undefined, number | undefined][] = [
  ['0', 0],
  ['120', 120_000],
  [' 7 ', 7000],
  ['Thu, 01 Jan 2026 00:00:30 GMT', 30_000],
  ['Wed, 31 Dec 2025 00:00:30 GMT', 0],
  ['999999999', DAY],
  ['Fri, 01 Jan 2100 00:00:00 GMT', DAY],
  ['soon', undefined],
  ['', undefined],
  [undefined, undefined],
]

for (const [value, expected] of TABLE) {
  test(`Retry-After: ${value} means ${expected} ms`, () =>
    assert.equal(parseRetryAfter(value, NOW), expected))
}
