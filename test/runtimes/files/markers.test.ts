import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  insertAt,
  lineStarts,
  removeMarked,
  replaceLine,
  withMarkers,
} from '../../../src/runtimes/files/markers.ts'
import { fc } from '../../../testkit/property-runs.ts'

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

test('removing an inserted block restores the text byte for byte', () => {
  fc.assert(
    fc.property(texts, fc.nat(), (text, where) => {
      const starts = [...lineStarts(text, /^/), text.length]
      const offset = starts[where % starts.length] ?? 0
      const {
        text: rest,
        wasFound,
        isDamaged,
      } = removeMarked(insertAt(text, offset, withMarkers('a = 1\nb = 2\n')))
      assert.deepEqual({ rest, wasFound, isDamaged }, { rest: text, wasFound: true, isDamaged: false })
    }),
  )
})

test('removing a replaced line restores the text byte for byte', () => {
  fc.assert(
    fc.property(texts, fc.nat(), (text, where) => {
      const starts = lineStarts(text, /^/)
      const offset = starts[where % Math.max(1, starts.length)] ?? 0
      const removal = removeMarked(replaceLine(text, offset, 'config_path = "/x"\n'))
      assert.deepEqual(removal, { text, wasFound: true, isDamaged: false })
    }),
  )
})

test('a text without markers is not changed', () => {
  fc.assert(
    fc.property(texts, (text) => {
      assert.deepEqual(removeMarked(text), { text, wasFound: false, isDamaged: false })
    }),
  )
  assert.equal(removeMarked('a\n\0b').text, 'a\n\0b')
})

test('a block is removed although others have changed the text around it or the line ends', () => {
  const text = `a = 1\n${withMarkers('ours = 1\n')}`
  assert.equal(removeMarked(`# theirs\n${text}[theirs]\n`).text, '# theirs\na = 1\n[theirs]\n')
  assert.equal(removeMarked(text.replaceAll('\n', '\r\n')).text, 'a = 1\r\n')
  assert.equal(removeMarked(text.replace(/^# leat/gm, '    # leat')).text, 'a = 1\n')
})

test('a marker without its counterpart is reported as damage', () => {
  const text = withMarkers('ours = 1\n')
  const [begin = '', , end = ''] = text.split('\n')
  for (const damaged of [text.replace(begin, ''), text.replace(end, ''), `${text}${begin}\n`]) {
    assert.equal(removeMarked(damaged).isDamaged, true)
  }
})
