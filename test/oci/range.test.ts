import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ByteRange, contentRange, parseRange, rangeApplies } from '../../src/oci/range.ts'

function ranges(header: string | undefined, size: number): string {
  const found = parseRange(header, size)
  const text = (range: ByteRange) => `${range.start}-${range.end - 1}`
  if (found.kind === 'single') return text(found.range)
  return found.kind === 'multiple' ? found.ranges.map(text).join(',') : found.kind
}

test('the Range header is read as RFC 9110 says', () => {
  const table: [header: string | undefined, size: number, means: string][] = [
    [undefined, 1000, 'whole'],
    ['bytes=0-499', 1000, '0-499'],
    ['bytes=500-', 1000, '500-999'],
    ['bytes=-200', 1000, '800-999'],
    ['bytes=-2000', 1000, '0-999'],
    ['bytes=900-5000', 1000, '900-999'],
    ['bytes=0-', 1000, '0-999'],
    ['Bytes = 0-0 ', 1000, '0-0'],
    ['bytes=999-', 1000, '999-999'],
    ['bytes=1000-', 1000, 'unsatisfiable'],
    ['bytes=500-0', 1000, 'unsatisfiable'],
    ['bytes=-0', 1000, 'unsatisfiable'],
    ['bytes=2000-3000', 1000, 'unsatisfiable'],
    ['bytes=0-', 0, 'whole'],
    ['bytes=99999999999999999999-', 1000, 'unsatisfiable'],
    ['bytes=0-99999999999999999999', 1000, '0-999'],
    ['bytes=', 1000, 'whole'],
    ['bytes=-', 1000, 'whole'],
    ['bytes=a-b', 1000, 'whole'],
    ['bytes=1', 1000, 'whole'],
    ['bytes=-1-2', 1000, 'whole'],
    ['bytes=1--2', 1000, 'whole'],
    ['items=0-1', 1000, 'whole'],
    ['0-1', 1000, 'whole'],
    ['bytes=0-1,4-5', 1000, '0-1,4-5'],
    ['bytes=4-5, 0-1', 1000, '4-5,0-1'],
    ['bytes=0-4,5-9', 1000, '0-4,5-9'],
    ['bytes=0-5,3-9,20-', 1000, '0-9,20-999'],
    ['bytes=0-1,5000-', 1000, '0-1'],
    ['bytes=0-1,,', 1000, '0-1'],
    ['bytes=0-1,x', 1000, 'whole'],
  ]
  for (const [header, size, means] of table) assert.equal(ranges(header, size), means, `${header} of ${size}`)
})

test('sixteen ranges are answered, one more is the whole content', () => {
  const header = (count: number) =>
    `bytes=${Array.from({ length: count }, (_, i) => `${i * 10}-${i * 10 + 1}`)}`
  assert.equal(parseRange(header(16), 1000).kind, 'multiple')
  assert.equal(parseRange(header(17), 1000).kind, 'whole')
})

test('If-Range keeps a range only for exactly this entity tag', () => {
  assert.ok(rangeApplies(undefined, '"a"'))
  assert.ok(rangeApplies('"a"', '"a"'))
  for (const other of ['"b"', 'W/"a"', 'a', '"a", "b"', 'Wed, 21 Oct 2015 07:28:00 GMT']) {
    assert.ok(!rangeApplies(other, '"a"'), other)
  }
})

test('Content-Range counts its last byte', () => {
  assert.equal(contentRange({ start: 0, end: 1 }, 10), 'bytes 0-0/10')
})

test('whatever is asked, ranges stay inside the content and never overlap', () => {
  const spec = fc.tuple(fc.option(fc.nat(60), { nil: '' }), fc.option(fc.nat(60), { nil: '' }))
  fc.assert(
    fc.property(fc.array(spec, { maxLength: 8 }), fc.nat(50), (specs, size) => {
      const asked = specs.map(([first, last]) => `${first}-${last}`)
      const found = parseRange(`bytes=${asked.join(',')}`, size)
      const given = found.kind === 'single' ? [found.range] : found.kind === 'multiple' ? found.ranges : []
      const seen = new Set<number>()
      for (const { start, end } of given) {
        assert.ok(start >= 0 && start < end && end <= size)
        for (let at = start; at < end; at += 1) {
          assert.ok(!seen.has(at))
          seen.add(at)
        }
      }
    }),
  )
})

test('no header makes it throw', () => {
  fc.assert(fc.property(fc.string(), fc.nat(), (text, size) => void parseRange(`bytes=${text}`, size)))
})
