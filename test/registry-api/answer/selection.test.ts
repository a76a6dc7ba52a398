import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { test } from 'node:test'
import { isNotModified } from '../../../src/registry-api/answer/preconditions.ts'
import { type BodyPart, select } from '../../../src/registry-api/answer/selection.ts'
import { fc } from '../../../testkit/property-runs.ts'

const CONTENT = { size: 100, contentType: 'x/y', etag: '"e"' }

function selected(headers: IncomingHttpHeaders, method = 'GET', representation = CONTENT) {
  return select(method, headers, representation)
}

test('preconditions are evaluated before ranges, and ranges apply to GET only', () => {
  assert.equal(selected({ 'if-none-match': '"e"', range: 'bytes=0-1' }).status, 304)
  assert.equal(selected({ 'if-none-match': '"x"', range: 'bytes=0-1' }).status, 206)
  assert.equal(selected({ 'if-none-match': '"e"' }, 'HEAD').status, 304)
  assert.equal(selected({ range: 'bytes=0-1' }, 'HEAD').status, 200)
  assert.equal(selected({ range: 'bytes=0-1', 'if-range': '"e"' }).status, 206)
  assert.equal(selected({ range: 'bytes=0-1', 'if-range': '"x"' }).status, 200)
  assert.equal(selected({ range: 'bytes=100-', 'if-range': '"x"' }).status, 200)
  assert.deepEqual(selected({ range: 'bytes=100-' }), {
    status: 416,
    headers: { 'Content-Range': 'bytes */100' },
  })
})

test('If-Match is evaluated first', () => {
  assert.equal(selected({ 'if-match': '"x"' }).status, 412)
  assert.equal(selected({ 'if-match': '"x"' }, 'HEAD').status, 412)
  assert.equal(selected({ 'if-match': '"x"', 'if-none-match': '"e"' }).status, 412)
  assert.equal(selected({ 'if-match': '"x"', range: 'bytes=100-' }).status, 412)
  assert.equal(selected({ 'if-match': '"e"', 'if-none-match': '"e"' }).status, 304)
  assert.equal(selected({ 'if-match': '"e"', range: 'bytes=0-1' }).status, 206)
  assert.equal(selected({ 'if-match': '*' }).status, 200)
})

test('date conditions are ignored, because no answer has Last-Modified', () => {
  const past = 'Sat, 01 Jan 2000 00:00:00 GMT'
  const future = 'Fri, 01 Jan 2100 00:00:00 GMT'
  for (const date of [past, future]) {
    assert.equal(selected({ 'if-unmodified-since': date }).status, 200)
    assert.equal(selected({ 'if-modified-since': date }).status, 200)
  }
})

test('If-None-Match is a list of entity tags, compared weakly', () => {
  for (const value of ['"e"', 'W/"e"', '"a", "e"', '*', ' "e" '])
    assert.ok(isNotModified(value, '"e"'), value)
  for (const value of [undefined, '', '"a"', 'e', '"E"']) assert.ok(!isNotModified(value, '"e"'), value)
})

test('a single range is answered with Content-Range', () => {
  assert.deepEqual(selected({ range: 'bytes=10-19' }), {
    status: 206,
    headers: { 'Content-Type': 'x/y', 'Content-Length': 10, 'Content-Range': 'bytes 10-19/100' },
    parts: [{ text: undefined, range: { start: 10, end: 20 } }],
  })
})

/** The total bytes of the texts, and of the content ranges, of all parts. */
function sums(parts: readonly BodyPart[]): { text: number; content: number } {
  let text = 0
  let content = 0
  for (const part of parts) {
    text += part.text?.length ?? 0
    content += part.range === undefined ? 0 : part.range.end - part.range.start
  }
  return { text, content }
}

test('the Content-Length of a multipart body is the sum of its parts, and its part headers are limited', () => {
  const size = 10_000_000_000
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(9999), { minLength: 2, maxLength: 256, size: 'max' }), (offsets) => {
      const ranges = offsets.map((offset) => `${offset * 1_000_000}-${offset * 1_000_000 + 499_999}`)
      const found = selected({ range: `bytes=${ranges.join(',')}` }, 'GET', { ...CONTENT, size })
      assert.equal(found.status, 206)
      if (found.status !== 206) return
      const { text, content } = sums(found.parts)
      assert.equal(found.headers['Content-Length'], text + content)
      assert.equal(content, offsets.length * 500_000)
      assert.ok(text <= 64 * 1024)
      assert.match(String(found.headers['Content-Type']), /^multipart\/byteranges; boundary=[0-9a-f]{36}$/)
    }),
  )
})

test('whatever ranges are requested, no more bytes of the content are sent than it has', () => {
  const spec = fc.tuple(fc.nat(120), fc.nat(120)).map(([first, last]) => `${first}-${last}`)
  fc.assert(
    fc.property(fc.array(spec, { maxLength: 400, size: 'max' }), (specs) => {
      const found = selected({ range: `bytes=${specs.join(',')}` })
      if (found.status !== 200 && found.status !== 206) return
      const { text, content } = sums(found.parts)
      assert.ok(content <= CONTENT.size)
      assert.ok(text <= 64 * 1024)
      assert.equal(found.headers['Content-Length'], text + content)
    }),
  )
})

test('when the part headers would be too long, the whole content is sent', () => {
  const range = `bytes=${Array.from({ length: 50 }, (_, i) => `${i * 2}-${i * 2}`)}`
  assert.equal(selected({ range }).status, 206)
  assert.equal(selected({ range }, 'GET', { ...CONTENT, contentType: `x/${'y'.repeat(2000)}` }).status, 200)
})
