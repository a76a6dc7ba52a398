import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDiskLimit, parseSize } from '../../../src/config/values/size.ts'
import { fc } from '../../../testkit/property-runs.ts'

test('sizes are parsed with decimal and binary units', () => {
  const table: readonly [string, number][] = [
    ['0', 0],
    ['1024', 1024],
    ['10B', 10],
    ['1kB', 1000],
    ['1KiB', 1024],
    ['50GiB', 50 * 2 ** 30],
    ['50 GiB', 50 * 2 ** 30],
    ['50gib', 50 * 2 ** 30],
    ['512Mi', 512 * 2 ** 20],
    ['1.5TB', 1.5e12],
    ['0.5KiB', 512],
  ]
  for (const [text, bytes] of table) assert.equal(parseSize(text), bytes, text)
})

test('a text that is not a size, or is ambiguous, is refused', () => {
  for (const text of [
    '',
    'GiB',
    '50G',
    '5k',
    '-1',
    '+1',
    '1e9',
    '0x10',
    '1.5',
    '1,5GiB',
    '1GiB ',
    '10 PB',
    '9999999TiB',
    '1..5MB',
    '∞',
  ]) {
    assert.equal(parseSize(text), undefined, text)
  }
})

test('a limit is a size or a share, and never zero', () => {
  assert.deepEqual(parseDiskLimit('80%'), { percent: 80 })
  assert.deepEqual(parseDiskLimit('12.5 %'), { percent: 12.5 })
  assert.deepEqual(parseDiskLimit('50GiB'), { bytes: 50 * 2 ** 30 })
  for (const text of ['0%', '101%', '-5%', '0', '0GiB', '%', 'all']) {
    assert.equal(parseDiskLimit(text), undefined, text)
  }
})

test('every whole number of bytes is parsed back, in any unit that fits it', () => {
  fc.assert(
    fc.property(fc.nat(1_000_000), fc.constantFrom('KiB', 'MiB', 'Ki', 'Mi', 'kB', 'MB'), (amount, unit) => {
      const factor = { K: 1024, M: 1024 ** 2, k: 1000 }[unit[0] ?? ''] ?? 0
      const expected = amount * (unit === 'MB' ? 1e6 : factor)
      assert.equal(parseSize(`${amount}${unit}`), expected)
      assert.equal(parseSize(String(amount)), amount)
    }),
  )
})

test('the parsers never throw, and give only usable numbers, whatever the text', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const size = parseSize(text)
      assert.ok(size === undefined || (Number.isSafeInteger(size) && size >= 0))
      parseDiskLimit(text)
    }),
  )
})
