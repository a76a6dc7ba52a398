import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Attempt, WrongLogins } from '../../../src/access/passwords/wrong-logins.ts'
import { subscribe } from '../../../src/observe/events.ts'

function mayTry(attempt: Attempt): (isRight: boolean) => void {
  assert.equal(attempt.kind, 'may-try')
  return attempt.kind === 'may-try' ? attempt.end : assert.fail()
}

test('after five wrong logins an address waits until the first of them is a minute old', () => {
  let now = 0
  const wrong = new WrongLogins(() => now)
  const slowed: string[] = []
  const stop = subscribe('access.slowed', ({ address }) => slowed.push(address))
  for (let n = 0; n < 5; n += 1) {
    mayTry(wrong.begin('10.0.0.1'))(false)
    now += 1000
  }
  assert.deepEqual(wrong.begin('10.0.0.1'), { kind: 'must-wait', retryAfterMs: 55_000 })
  assert.deepEqual(wrong.begin('::ffff:10.0.0.1').kind, 'must-wait')
  stop()
  assert.deepEqual(slowed, ['10.0.0.1'])
  mayTry(wrong.begin('10.0.0.2'))(true)
  now = 60_000
  mayTry(wrong.begin('10.0.0.1'))(false)
  assert.equal(wrong.begin('10.0.0.1').kind, 'must-wait')
})

test('right logins are not counted', () => {
  const wrong = new WrongLogins(() => 0)
  for (let n = 0; n < 20; n += 1) mayTry(wrong.begin('10.0.0.1'))(true)
})

test('logins under way count until they are right, so that many at once guess no more', () => {
  const wrong = new WrongLogins(() => 0)
  const ends = Array.from({ length: 5 }, () => mayTry(wrong.begin('2001:db8::1')))
  assert.deepEqual(wrong.begin('2001:db8::2'), { kind: 'must-wait', retryAfterMs: 1000 })
  ends[0]?.(true)
  mayTry(wrong.begin('2001:db8::3'))
  mayTry(wrong.begin('2001:db8:0:1::1'))
})
