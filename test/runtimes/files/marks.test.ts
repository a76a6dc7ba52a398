import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { cutMarked, insertAt, lineStarts, marked, replaceLine } from '../../../src/runtimes/files/marks.ts'

const line = fc.oneof(
  fc.constantFrom(
    '',
    '[host."https://a"]',
    '  x = 1',
    '# a comment',
    '# leaty',
    'config_path = ""',
    '\r',
    'a\r',
  ),
  fc.string({ maxLength: 12 }).filter((text) => !text.includes('\n')),
)
const texts = fc.array(line, { maxLength: 8 }).map((lines) => lines.join('\n'))

test('what was put in is taken out again, byte for byte', () => {
  fc.assert(
    fc.property(texts, fc.nat(), (text, where) => {
      const starts = [...lineStarts(text, /^/), text.length]
      const offset = starts[where % starts.length] ?? 0
      const { text: rest, found, damaged } = cutMarked(insertAt(text, offset, marked('a = 1\nb = 2\n')))
      assert.deepEqual({ rest, found, damaged }, { rest: text, found: true, damaged: false })
    }),
  )
})

test('a line that was replaced comes back, byte for byte', () => {
  fc.assert(
    fc.property(texts, fc.nat(), (text, where) => {
      const starts = lineStarts(text, /^/)
      const offset = starts[where % Math.max(1, starts.length)] ?? 0
      const cut = cutMarked(replaceLine(text, offset, 'config_path = "/x"\n'))
      assert.deepEqual(cut, { text, found: true, damaged: false })
    }),
  )
})

test('a text without marks stays as it is', () => {
  fc.assert(
    fc.property(texts, (text) => {
      assert.deepEqual(cutMarked(text), { text, found: false, damaged: false })
    }),
  )
  assert.equal(cutMarked('a\n\0b').text, 'a\n\0b')
})

test('what others wrote around it, or its line ends, do not matter', () => {
  const text = `a = 1\n${marked('ours = 1\n')}`
  assert.equal(cutMarked(`# theirs\n${text}[theirs]\n`).text, '# theirs\na = 1\n[theirs]\n')
  assert.equal(cutMarked(text.replaceAll('\n', '\r\n')).text, 'a = 1\r\n')
  assert.equal(cutMarked(text.replace(/^# leat/gm, '    # leat')).text, 'a = 1\n')
})

test('a mark without its partner is not taken for anything', () => {
  const text = marked('ours = 1\n')
  const [begin = '', , end = ''] = text.split('\n')
  for (const damaged of [text.replace(begin, ''), text.replace(end, ''), `${text}${begin}\n`]) {
    assert.equal(cutMarked(damaged).damaged, true)
  }
})
