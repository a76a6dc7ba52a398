import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Silence } from '../../../src/lib/watchdog/silence.ts'

const onTime = { tookMs: 1010, isDebugged: false }

test('ticks without a beat are counted until the next beat', () => {
  const silence = new Silence(1000, 7)
  assert.equal(silence.tick(7, onTime), 1)
  assert.equal(silence.tick(7, onTime), 2)
  assert.equal(silence.tick(8, onTime), 0)
  assert.equal(silence.tick(8, onTime), 1)
})

test('the count of beats may wrap around', () => {
  const silence = new Silence(1000, 2 ** 31 - 1)
  assert.equal(silence.tick(-(2 ** 31), onTime), 0)
})

test('a tick that was late, as after a stop of the whole process, begins the count again', () => {
  const silence = new Silence(1000, 7)
  silence.tick(7, onTime)
  assert.equal(silence.tick(7, { tookMs: 60_000, isDebugged: false }), 0)
  assert.equal(silence.tick(7, onTime), 1)
})

test('silence does not count while a debugger may stop the main thread', () => {
  const silence = new Silence(1000, 7)
  assert.equal(silence.tick(7, { tookMs: 1010, isDebugged: true }), 0)
  assert.equal(silence.tick(7, { tookMs: 1010, isDebugged: true }), 0)
})
