import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lineDiff } from '../../src/runtimes/line-diff.ts'

test('a difference has the lines that are removed and added, and no others', () => {
  const table: [before: string, after: string, diff: string][] = [
    ['', 'a\nb\n', '@@ line 1 @@\n+ a\n+ b\n'],
    ['a\nb\n', '', '@@ line 1 @@\n- a\n- b\n'],
    ['secret\na\nend\n', 'secret\nb\nend\n', '@@ line 2 @@\n- a\n+ b\n'],
    ['a\na\n', 'a\na\na\n', '@@ line 3 @@\n+ a\n'],
    ['a\n', 'a\n', ''],
    ['a', 'a\nb', '@@ line 2 @@\n+ b\n'],
  ]
  for (const [before, after, diff] of table) assert.equal(lineDiff(before, after), diff)
})
