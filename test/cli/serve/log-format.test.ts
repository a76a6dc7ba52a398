import assert from 'node:assert/strict'
import { test } from 'node:test'
import { logFormat } from '../../../src/cli/serve/log-format.ts'

test('the log is for people on a terminal and JSON elsewhere, unless the settings say it', () => {
  for (const [wanted, isErrInteractive, format] of [
    ['auto', true, 'pretty'],
    ['auto', false, 'json'],
    ['json', true, 'json'],
    ['pretty', false, 'pretty'],
  ] as const) {
    assert.equal(logFormat({ logFormat: wanted }, { isErrInteractive, env: {} }).format, format)
  }
})

test('only a terminal gets colors, and none with NO_COLOR or a dumb terminal', () => {
  const hasColor = (isErrInteractive: boolean, env: Record<string, string>): boolean =>
    logFormat({ logFormat: 'pretty' }, { isErrInteractive, env }).hasColor
  assert.ok(hasColor(true, { TERM: 'xterm' }))
  assert.ok(hasColor(true, { NO_COLOR: '' }))
  assert.ok(!hasColor(true, { NO_COLOR: '1' }))
  assert.ok(!hasColor(true, { TERM: 'dumb' }))
  assert.ok(!hasColor(false, {}))
})
