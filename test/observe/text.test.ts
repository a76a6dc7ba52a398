import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plain, sizeText, spanText } from '../../src/observe/text.ts'
import { fc } from '../../testkit/property-runs.ts'

test('sizes are written in the unit that fits', () => {
  const table: readonly [number, string][] = [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1536, '1.5 KiB'],
    [1024 * 1024 - 1, '1.0 MiB'],
    [50 * 2 ** 30, '50.0 GiB'],
    [2 ** 60, '1024.0 PiB'],
  ]
  for (const [bytes, text] of table) assert.equal(sizeText(bytes), text)
})

test('durations are written in one unit, rounded down', () => {
  const table: readonly [number, string][] = [
    [-5, '0ms'],
    [999, '999ms'],
    [59_999, '59s'],
    [3_599_999, '59m'],
    [86_400_000, '24h'],
    [3 * 86_400_000, '3d'],
  ]
  for (const [ms, text] of table) assert.equal(spanText(ms), text)
})

test('no size is written with more than four digits before its point', () => {
  fc.assert(
    fc.property(fc.nat(Number.MAX_SAFE_INTEGER), (bytes) =>
      assert.match(sizeText(bytes), /^\d{1,4}(\.\d)? /),
    ),
  )
})

test('control characters in a text from outside are replaced', () => {
  assert.equal(plain('a\u001b[31mb\nc\u009bd\u202ee'), 'a?[31mb?c?d?e')
})
