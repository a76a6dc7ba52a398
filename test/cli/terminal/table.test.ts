import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestText, table } from '../../../src/cli/terminal/table.ts'

test('columns are aligned, numeric ones to the right', () => {
  const text = table(
    ['NAME', 'SIZE', 'FROM'],
    [
      ['a', '1 B', 'x'],
      ['longer', '100.0 MiB', ''],
    ],
    [1],
  )
  assert.equal(text, 'NAME         SIZE  FROM\na             1 B  x\nlonger  100.0 MiB\n')
})

test('digests are abbreviated on a terminal only', () => {
  const digest = `sha256:${'ab'.repeat(32)}`
  assert.equal(digestText(digest, false), digest)
  assert.equal(digestText(digest, true), 'sha256:abababababab')
})
