import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lastTime, parseCron } from '../../../src/lib/time/cron.ts'

const NOW = '2026-11-30T14:07:30Z' // a Monday

function last(line: string, now = NOW): string | undefined {
  const cron = parseCron(line)
  assert.ok(cron !== undefined, line)
  const at = lastTime(cron, Date.parse(now))
  return at === undefined ? undefined : new Date(at).toISOString().slice(0, 16)
}

for (const [line, expected] of [
  ['* * * * *', '2026-11-30T14:07'],
  ['*/15 * * * *', '2026-11-30T14:00'],
  ['30 3 * * *', '2026-11-30T03:30'],
  ['8 14 * * *', '2026-11-29T14:08'],
  ['0 22 * * 1-5', '2026-11-27T22:00'],
  ['0 0 * * 7', '2026-11-29T00:00'],
  ['0 12 1 * *', '2026-11-01T12:00'],
  ['0 0 29 2 *', '2024-02-29T00:00'],
  ['5,7 14 30 11 *', '2026-11-30T14:07'],
  ['10/20 13 * * *', '2026-11-30T13:50'],
  // Either of the two days is enough.
  ['0 0 15 * 3', '2026-11-25T00:00'],
] as const) {
  test(`the last time of ${line} is found`, () => {
    assert.equal(last(line), expected)
  })
}

test('a time counts from its minute on', () => {
  assert.equal(last('7 14 * * *', '2026-11-30T14:07:00Z'), '2026-11-30T14:07')
  assert.equal(last('7 14 * * *', '2026-11-30T14:06:59Z'), '2026-11-29T14:07')
})

for (const line of [
  '',
  '* * * *',
  '* * * * * *',
  '60 * * * *',
  '* 24 * * *',
  '5-1 * * * *',
  '*/0 * * * *',
  '@daily',
  '0 0 31 2 *',
]) {
  test(`"${line}" is no cron line`, () => {
    assert.equal(parseCron(line), undefined)
  })
}
