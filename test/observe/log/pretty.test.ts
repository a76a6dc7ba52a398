import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startLog } from '../../../src/observe/log/log.ts'
import { prettyLine } from '../../../src/observe/log/pretty.ts'

const LINE = {
  level: 'warn',
  time: new Date(2026, 0, 2, 3, 4, 5).toISOString(),
  message: 'pull failed',
  image: 'docker.io/library/alpine:3',
  status: 502,
  reason: 'no answer = no image',
  none: null,
  list: { a: 1 },
}

test('a line for people has the time, the level, the message and the fields', () => {
  assert.equal(
    prettyLine(JSON.stringify(LINE), { hasColor: false }),
    '03:04:05 WARN  pull failed  image=docker.io/library/alpine:3  status=502  reason="no answer = no image"  list={"a":1}\n',
  )
})

test('colors do not change the text', () => {
  const json = JSON.stringify(LINE)
  const colored = prettyLine(json, { hasColor: true })
  assert.ok(colored.includes('\u001b[33mWARN \u001b[0m'))
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the colors
  assert.equal(colored.replace(/\u001b\[\d+m/g, ''), prettyLine(json, { hasColor: false }))
})

test('text from outside can neither move the cursor nor begin another line', () => {
  const hostile = { ...LINE, message: 'a\nb', image: '\u001b[31mred', [`k\u001b`]: '\u202e' }
  const text = prettyLine(JSON.stringify(hostile), { hasColor: false })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
  assert.doesNotMatch(text.slice(0, -1), /[\u0000-\u001f\u202e]/)
  assert.equal(prettyLine('not JSON\n', { hasColor: false }), 'not JSON\n')
})

test('the log writes lines for people if it is asked to', () => {
  const lines: string[] = []
  const stream = { write: (line: string) => lines.push(line) }
  const log = startLog({ level: 'info', format: 'pretty', stream })
  log.info('serving', { registry: '127.0.0.1:5050' })
  log.close()
  assert.match(lines.join(''), /^\d\d:\d\d:\d\d INFO {2}serving {2}registry=127\.0\.0\.1:5050\n$/)
})
