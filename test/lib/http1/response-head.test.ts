import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endOfHead, InvalidHeadError, parseResponseHead } from '../../../src/lib/http1/response-head.ts'
import { fc } from '../../../testkit/property-runs.ts'

const head = (...lines: string[]): Buffer => Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')

test('status, headers and length of a head are parsed', () => {
  const read = parseResponseHead(head('HTTP/1.1 200 OK', 'Content-Length: 5', 'ETag:"a:b"', 'X-Empty:'))
  assert.equal(read.status, 200)
  assert.equal(read.length, 5)
  assert.equal(read.headers.get('etag'), '"a:b"')
  assert.equal(read.headers.get('x-empty'), '')
  assert.ok(read.keepsAlive)
})

test('a status line without a reason phrase is valid', () => {
  assert.equal(parseResponseHead(head('HTTP/1.1 404')).status, 404)
})

const BODIES: readonly [string[], number | 'undeclared', boolean][] = [
  [['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked'], 'undeclared', false],
  [['HTTP/1.1 200 OK'], 'undeclared', false],
  [['HTTP/1.1 204 No Content'], 0, true],
  [['HTTP/1.1 304 Not Modified', 'Content-Length: 7'], 0, true],
  [['HTTP/1.1 100 Continue'], 0, true],
  [['HTTP/1.1 200 OK', 'Content-Length: 5', 'Content-Length: 5'], 5, true],
  [['HTTP/1.1 200 OK', 'Content-Length: 5', 'Connection: Close'], 5, false],
  [['HTTP/1.0 200 OK', 'Content-Length: 5'], 5, false],
  [['HTTP/1.0 200 OK', 'Content-Length: 5', 'Connection: keep-alive'], 5, true],
]

for (const [lines, length, keepsAlive] of BODIES) {
  test(`${lines.join(' | ')} has a body of the length ${length}`, () => {
    const read = parseResponseHead(head(...lines))
    assert.deepEqual([read.length, read.keepsAlive], [length, keepsAlive])
  })
}

const BAD: readonly string[][] = [
  ['HTTP/2 200 OK'],
  ['HTTP/1.1 20 OK'],
  ['HTTP/1.1 2000 OK'],
  ['http/1.1 200 OK'],
  ['SSH-2.0-OpenSSH_9'],
  ['HTTP/1.1 200 OK', 'Content-Length: 5', 'Content-Length: 6'],
  ['HTTP/1.1 200 OK', 'Content-Length: +5'],
  ['HTTP/1.1 200 OK', 'Content-Length: 5, 5'],
  ['HTTP/1.1 200 OK', 'Content-Length: 0x5'],
  ['HTTP/1.1 200 OK', 'Content-Length:'],
  ['HTTP/1.1 200 OK', 'Content-Length: 5', 'Transfer-Encoding: chunked'],
  ['HTTP/1.1 200 OK', 'Content-Length : 5'],
  ['HTTP/1.1 200 OK', 'A: b', ' folded'],
  ['HTTP/1.1 200 OK', 'no colon'],
  ['HTTP/1.1 200 OK', ': no name'],
  ['HTTP/1.1 200 OK', 'A: b\nContent-Length: 5'],
  ['HTTP/1.1 200 OK', 'A: b\0'],
  ['HTTP/1.1 200 OK', ...Array.from({ length: 201 }, (_, i) => `A${i}: b`)],
]

for (const lines of BAD) {
  test(`a head is refused: ${JSON.stringify(lines.slice(0, 3))}`, () => {
    assert.throws(() => parseResponseHead(head(...lines)), InvalidHeadError)
  })
}

test('the end of a head is found however the head is split into reads', () => {
  const whole = Buffer.concat([head('HTTP/1.1 200 OK', 'Content-Length: 3'), Buffer.from('abc')])
  const end = whole.length - 3
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: whole.length }), { maxLength: 9 }), (cuts) => {
      let before = 0
      for (const cut of [...cuts, whole.length].sort((a, b) => a - b)) {
        const found = endOfHead(whole.subarray(0, cut), before)
        assert.equal(found, cut >= end ? end : -1)
        if (found >= 0) return
        before = cut
      }
    }),
  )
})

test('any bytes are either parsed as a head or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        parseResponseHead(Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\n'), bytes, Buffer.from('\r\n\r\n')]))
      } catch (error) {
        assert.ok(error instanceof InvalidHeadError)
      }
    }),
  )
})
