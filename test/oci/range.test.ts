import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ByteRange, contentRange, haveEnds, parseRange, rangeApplies } from '../../src/oci/range.ts'
import { fc } from '../../testkit/property-runs.ts'

function ranges(header: string | undefined, size: number): string {
  const found = parseRange(header, size)
  const text = (range: ByteRange) => `${range.start}-${range.end - 1}`
  if (found.kind === 'single') return text(found.range)
  return found.kind === 'multiple' ? found.ranges.map(text).join(',') : found.kind
}

test('the Range header is parsed as RFC 9110 defines it', () => {
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

test('256 ranges are answered, and more than that with the whole content', () => {
  const header = (count: number) =>
    `bytes=${Array.from({ length: count }, (_, i) => `${i * 10}-${i * 10 + 1}`)}`
  const most = parseRange(header(256), 10_000)
  assert.equal(most.kind === 'multiple' && most.ranges.length, 256)
  assert.equal(parseRange(header(257), 10_000).kind, 'whole')
})

test('ranges are counted after those that overlap are joined', () => {
  const overlapping = Array.from({ length: 1000 }, (_, i) => `${i * 10}-${i * 10 + 10}`)
  assert.equal(ranges(`bytes=${overlapping}`, 1_000_000), '0-10000')
  const pairs = Array.from({ length: 512 }, (_, i) => `${(i >> 1) * 10}-${(i >> 1) * 10 + 1}`)
  const joined = parseRange(`bytes=${pairs}`, 10_000)
  assert.equal(joined.kind === 'multiple' && joined.ranges.length, 256)
})

test('a Range header that is longer than the headers of a request may be is ignored', () => {
  assert.equal(ranges(`bytes=0-1${','.repeat(16_000)}`, 10), '0-1')
  assert.equal(ranges(`bytes=0-1${','.repeat(17_000)}`, 10), 'whole')
})

test('If-Range permits a range only for exactly the entity tag of the content', () => {
  assert.ok(rangeApplies(undefined, '"a"'))
  assert.ok(rangeApplies('"a"', '"a"'))
  for (const other of ['"b"', 'W/"a"', 'a', '"a", "b"', 'Wed, 21 Oct 2015 07:28:00 GMT']) {
    assert.ok(!rangeApplies(other, '"a"'), other)
  }
})

test('the end of Content-Range is the index of the last byte', () => {
  assert.equal(contentRange({ start: 0, end: 1 }, 10), 'bytes 0-0/10')
})

/** The meaning of a range by RFC 9110 section 14.1.2, implemented without the parser. */
function meant([first, last]: readonly [number | '', number | ''], size: number): ByteRange | undefined {
  const start = first === '' ? Math.max(0, size - Number(last)) : first
  const end = first === '' || last === '' ? size : Math.min(last + 1, size)
  return start < end ? { start, end } : undefined
}

const spec = fc.tuple(
  fc.option(fc.nat(2000), { nil: '' as const }),
  fc.option(fc.nat(2000), { nil: '' as const }),
)
const valid = spec.filter(([first, last]) => first !== '' || last !== '')
const written = (specs: readonly (readonly [number | '', number | ''])[]) =>
  `bytes=${specs.map(([first, last]) => `${first}-${last}`).join(',')}`

test('the ranges have exactly the requested bytes, each once', () => {
  fc.assert(
    fc.property(
      fc.array(valid, { minLength: 1, maxLength: 400, size: 'max' }),
      fc.integer({ min: 1, max: 1500 }),
      (specs, size) => {
        const wanted = new Set<number>()
        for (const { start, end } of specs.flatMap((one) => meant(one, size) ?? [])) {
          for (let at = start; at < end; at += 1) wanted.add(at)
        }
        const found = parseRange(written(specs), size)
        if (found.kind === 'whole') return
        assert.equal(found.kind === 'unsatisfiable', wanted.size === 0)
        const given = found.kind === 'single' ? [found.range] : found.kind === 'multiple' ? found.ranges : []
        assert.ok(given.length <= 256)
        for (const { start, end } of given) {
          assert.ok(start < end)
          for (let at = start; at < end; at += 1) assert.ok(wanted.delete(at))
        }
        assert.equal(wanted.size, 0)
      },
    ),
  )
})

test('up to 256 ranges that do not overlap stay as they were requested, in their order', () => {
  const apart = fc.uniqueArray(fc.nat(999), { minLength: 2, maxLength: 256, size: 'max' })
  fc.assert(
    fc.property(apart, fc.integer({ min: 1, max: 10 }), (offsets, length) => {
      // The ranges of ten bytes are adjacent.
      const asked = offsets.map((offset) => ({ start: offset * 10, end: offset * 10 + length }))
      const header = `bytes=${asked.map(({ start, end }) => `${start}-${end - 1}`).join(', ')}`
      assert.deepEqual(parseRange(header, 10_000), { kind: 'multiple', ranges: asked })
    }),
  )
})

test('one malformed range makes the whole header invalid', () => {
  const broken = fc.constantFrom('-', 'x', '1', '1--2', '-1-', '0x1-2', '1-2-3', '+1-2', '1.5-2')
  fc.assert(
    fc.property(fc.array(valid, { maxLength: 20 }), broken, fc.nat(20), (specs, wrong, at) => {
      const texts = specs.map(([first, last]) => `${first}-${last}`)
      texts.splice(at, 0, wrong)
      assert.equal(parseRange(`bytes=${texts.join(',')}`, 100).kind, 'whole')
    }),
  )
})

test('parsing never throws, whatever the header', () => {
  fc.assert(fc.property(fc.string(), fc.nat(), (text, size) => void parseRange(`bytes=${text}`, size)))
})

test('only ranges that name their last byte, or how many of the last ones, have an end', () => {
  for (const header of ['bytes=0-0', 'bytes=5-9', 'bytes=-5', 'bytes=0-1, 5-9', ' Bytes = 1-2 ,-7 ']) {
    assert.equal(haveEnds(header), true, header)
  }
  for (const header of [undefined, '', 'bytes=5-', 'bytes=0-1,5-', 'bytes=', 'bytes=,', 'items=1-2']) {
    assert.equal(haveEnds(header), false, header)
  }
})
