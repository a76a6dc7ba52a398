import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fittingTable, shortened } from '../../../src/cli/terminal/fitting-table.ts'

const ITEMS = [
  [
    'registry.example.com/a-team/with-a-long-name/application:v1.2.3',
    'sha256:0123456789ab',
    '1.5 GiB',
    'pinned',
  ],
  ['alpine:3', 'sha256:aaaaaaaaaaaa', '7 B', ''],
]
const COLUMNS = ['IMAGE', 'DIGEST', 'STORED', 'PIN'].map((head, at) => ({
  head,
  isNumber: at === 2,
  text: (item: readonly string[]) => item[at] ?? '',
}))
const linesAt = (width: number): string[] =>
  fittingTable(ITEMS, COLUMNS, { width, least: 2 }).trimEnd().split('\n')

test('a wide terminal gets everything', () => {
  const [head = '', first = ''] = linesAt(Number.POSITIVE_INFINITY)
  assert.match(head, /^IMAGE +DIGEST +STORED +PIN$/)
  assert.match(first, /^registry\.example\.com\/a-team\/with-a-long-name\/application:v1\.2\.3 .* pinned$/)
})

test('a narrow one loses columns at the end, and then the middle of names', () => {
  for (let width = 37; width < 120; width += 1) {
    for (const line of linesAt(width)) assert.ok(line.length <= width, `${width}: ${line}`)
  }
  assert.match(linesAt(80)[1] ?? '', /^registry.*….*application:v1\.2\.3 +sha256:0123456789ab/)
  assert.deepEqual(linesAt(40)[0]?.split(/ +/), ['IMAGE', 'DIGEST'])
})

test('a shortened name keeps both ends', () => {
  assert.equal(shortened('abcdefghij', 10), 'abcdefghij')
  assert.equal(shortened('abcdefghijk', 6), 'ab…ijk')
})
