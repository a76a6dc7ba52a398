import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseContentRange, rangeUpTo } from '../../../../src/registry-api/endpoints/push/content-range.ts'
import { fc } from '../../../../testkit/property-runs.ts'

test('the range of a part is read as both specifications write it', () => {
  const table: [text: string, expected: [number, number] | undefined][] = [
    ['0-0', [0, 1]],
    ['0-99', [0, 100]],
    ['100-199', [100, 200]],
    ['bytes 0-99/200', [0, 100]],
    ['bytes 0-99/*', [0, 100]],
    ['bytes=0-99', undefined],
    ['5-4', undefined],
    ['-5', undefined],
    ['5-', undefined],
    ['', undefined],
    ['a-b', undefined],
    ['0x0-0x9', undefined],
    ['1e3-2e3', undefined],
    ['0-9999999999999999', undefined],
    ['0-9, 20-29', undefined],
  ]
  for (const [text, expected] of table) {
    const found = parseContentRange(text)
    assert.deepEqual(found && [found.start, found.end], expected, text)
  }
})

test('every range that can be written is read again, and no text makes the parser throw', () => {
  const offset = fc.nat({ max: 1e14 })
  fc.assert(
    fc.property(offset, offset, (start, more) => {
      assert.deepEqual(parseContentRange(`${start}-${start + more}`), { start, end: start + more + 1 })
    }),
    { seed: 5 },
  )
  fc.assert(
    fc.property(fc.string(), (text) => void parseContentRange(text)),
    { seed: 5 },
  )
})

test('an upload without bytes has the range that other registries say', () => {
  assert.deepEqual([0, 1, 2, 100].map(rangeUpTo), ['0-0', '0-0', '0-1', '0-99'])
})
