import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Silence } from '../../../src/lib/watchdog/silence.ts'

const onTime = { tookMs: 1010, ownMs: 1000, isDebugged: false }

test('the time of ticks without a beat is added up until the next beat', () => {
  const silence = new Silence(1000, 7)
  assert.equal(silence.tick({ beats: 7, ...onTime }), 1000)
  assert.equal(silence.tick({ beats: 7, ...onTime }), 2000)
  assert.equal(silence.tick({ beats: 8, ...onTime }), 0)
  assert.equal(silence.tick({ beats: 8, ...onTime }), 1000)
})

test('the count of beats may wrap around', () => {
  const silence = new Silence(1000, 2 ** 31 - 1)
  assert.equal(silence.tick({ beats: -(2 ** 31), ...onTime }), 0)
})

test('a tick that was late, as after a stop of the whole process, begins the sum again where the kernel says nothing', () => {
  const silence = new Silence(1000, 7)
  silence.tick({ beats: 7, ...onTime })
  assert.equal(silence.tick({ beats: 7, ...onTime, ownMs: undefined, tookMs: 60_000 }), 0)
  assert.equal(silence.tick({ beats: 7, ...onTime }), 1000)
})

test('silence does not count while a debugger may stop the main thread', () => {
  const silence = new Silence(1000, 7)
  assert.equal(silence.tick({ beats: 7, ...onTime, isDebugged: true }), 0)
  assert.equal(silence.tick({ beats: 7, ...onTime, isDebugged: true }), 0)
})

test('of a tick only the time counts that the main thread has had', () => {
  const silence = new Silence(1000, 7)
  assert.equal(silence.tick({ beats: 7, ...onTime, ownMs: 20 }), 20)
  assert.equal(silence.tick({ beats: 7, ...onTime, ownMs: 0 }), 20)
  assert.equal(silence.tick({ beats: 7, ...onTime, ownMs: 1000 }), 1020)
})

test('a tick that was late adds no more than one on time', () => {
  const silence = new Silence(1000, 7)
  assert.equal(silence.tick({ beats: 7, ...onTime, tookMs: 60_000, ownMs: 60_000 }), 1000)
  assert.equal(silence.tick({ beats: 7, ...onTime, tookMs: 3000, ownMs: 200 }), 1200)
})
