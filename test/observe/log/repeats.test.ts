import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Repeats } from '../../../src/observe/log/repeats.ts'

test('the first occurrence is reported at once, and the following ones together', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const reported: unknown[] = []
  const repeats = new Repeats<string>((facts, times) => reported.push([facts, times]), { intervalMs: 100 })
  for (const facts of ['a1', 'a2', 'a3']) repeats.add('a', facts)
  repeats.add('b', 'b1')
  assert.deepEqual(reported.splice(0), [
    ['a1', 1],
    ['b1', 1],
  ])
  t.mock.timers.tick(100)
  assert.deepEqual(reported.splice(0), [['a3', 2]])
  // After an interval without an occurrence, the next one is a first one again.
  t.mock.timers.tick(100)
  repeats.add('a', 'a4')
  assert.deepEqual(reported.splice(0), [['a4', 1]])
})

test('what is not reported yet is reported at the end, and nothing after it', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const reported: unknown[] = []
  const repeats = new Repeats<string>((facts, times) => reported.push([facts, times]))
  for (const facts of ['a1', 'a2']) repeats.add('a', facts)
  repeats.close()
  t.mock.timers.tick(1e6)
  assert.deepEqual(reported, [
    ['a1', 1],
    ['a2', 1],
  ])
})

test('when there are too many kinds, the others share one', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const reported: unknown[] = []
  const repeats = new Repeats<string>((facts, times) => reported.push([facts, times]), { mostKeys: 1 })
  for (const key of ['a', 'b', 'c', 'd']) repeats.add(key, key)
  repeats.close()
  assert.deepEqual(reported, [
    ['a', 1],
    ['b', 1],
    ['d', 2],
  ])
})
