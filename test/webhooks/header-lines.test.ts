import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseHeaderLines } from '../../src/webhooks/header-lines.ts'

test('lines of a name, a colon and a value are headers; comments and empty lines are not', () => {
  const text = '# for the receiver\r\nAuthorization: Bearer a:b \r\n\nX-Team:\tone\n'
  assert.deepEqual(parseHeaderLines(text, 'F'), { authorization: 'Bearer a:b', 'x-team': 'one' })
  assert.deepEqual(parseHeaderLines('', 'F'), {})
})

test('anything else is refused by its line, and never repeated', () => {
  const table: readonly [string, RegExp][] = [
    ['A: b\nsecret', /^line 2 of F is no header/],
    ['A b: secret', /^line 1 of F is no header/],
    ['A: sec\u0000ret', /^line 1 of F is no header/],
    ['A:', /^line 1 of F is no header/],
    ['Content-Type: secret', /^line 1 of F: the agent sets Content-Type itself$/],
    ['Host: secret', /itself$/],
    ['Webhook-Signature: secret', /itself$/],
    [Array.from({ length: 33 }, (_, at) => `A${at}: secret`).join('\n'), /more than 32 headers/],
  ]
  for (const [text, message] of table) {
    assert.throws(
      () => parseHeaderLines(text, 'F'),
      (error: Error) => message.test(error.message) && !error.message.includes('secret'),
      text,
    )
  }
})
