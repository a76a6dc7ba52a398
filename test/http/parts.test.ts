import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { test } from 'node:test'
import fc from 'fast-check'
import { notModified, select } from '../../src/http/parts.ts'

const OF = { size: 100, contentType: 'x/y', etag: '"e"' }

function selected(headers: IncomingHttpHeaders, method = 'GET', of = OF) {
  return select(method, headers, of)
}

test('preconditions come before ranges, and ranges are only for GET', () => {
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

test('If-None-Match is a list, compared weakly', () => {
  for (const value of ['"e"', 'W/"e"', '"a", "e"', '*', ' "e" ']) assert.ok(notModified(value, '"e"'), value)
  for (const value of [undefined, '', '"a"', 'e', '"E"']) assert.ok(!notModified(value, '"e"'), value)
})

test('one range says where it is', () => {
  assert.deepEqual(selected({ range: 'bytes=10-19' }), {
    status: 206,
    headers: { 'Content-Type': 'x/y', 'Content-Length': 10, 'Content-Range': 'bytes 10-19/100' },
    parts: [{ text: undefined, range: { start: 10, end: 20 } }],
  })
})

test('the length of a multipart body is exactly what its parts add up to', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(9), { minLength: 2, maxLength: 8 }), (offsets) => {
      const range = `bytes=${offsets.map((offset) => `${offset * 10}-${offset * 10 + 4}`).join(',')}`
      const found = selected({ range })
      assert.equal(found.status, 206)
      if (found.status !== 206) return
      const length = found.parts.reduce((sum, part) => {
        return sum + (part.text?.length ?? 0) + (part.range ? part.range.end - part.range.start : 0)
      }, 0)
      assert.equal(found.headers['Content-Length'], length)
      assert.match(String(found.headers['Content-Type']), /^multipart\/byteranges; boundary=[0-9a-f]{36}$/)
    }),
  )
})
