import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDuration } from '../../../src/config/values/duration.ts'
import { durationOf } from '../../../src/migrate/input/duration.ts'
import { fc, runs } from '../../../testkit/property-runs.ts'

test('durations of humantime and of Go become durations of Leat', () => {
  const table: Readonly<Record<string, string | undefined>> = {
    '30d': '30d',
    '14 days': '14d',
    '1h 30m': '1h30m',
    '1h30m0s': '1h30m',
    '2weeks 1sec': '14d1s',
    '1month': '30d10h33m36s',
    '168h': '7d',
    '0s': '0s',
    '0': '0s',
    '5ns': '0s',
    '1.5h': '1h30m',
    soon: undefined,
    '30': undefined,
    '1h x': undefined,
    '': undefined,
  }
  for (const [given, expected] of Object.entries(table)) assert.equal(durationOf(given), expected, given)
})

test('every duration that is understood is one of Leat', () => {
  const parts = fc.array(
    fc.tuple(fc.nat(10_000), fc.constantFrom('y', 'months', ' days', 'h', ' min', 's', 'ms', 'us')),
    { minLength: 1, maxLength: 4 },
  )
  fc.assert(
    fc.property(parts, (given) => {
      const text = durationOf(given.map((part) => part.join('')).join(' '))
      assert.notEqual(text === undefined ? undefined : parseDuration(text), undefined)
    }),
    runs(200),
  )
})
