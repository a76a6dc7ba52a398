import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Throttle } from '../../../src/lib/async/throttle.ts'

const EVERY_MS = 100

/** Replaces timers and `performance.now` by a clock that the test moves. */
function manualClock(t: TestContext): (ms: number) => void {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let now = 1000
  t.mock.method(performance, 'now', () => now)
  return (ms) => {
    // The clock moves in steps, so that each timer that fires sees its own time.
    for (let step = 0; step < ms; step += 1) {
      now += 1
      t.mock.timers.tick(1)
    }
  }
}

test('the work runs soon, but not inside the call', (t) => {
  const pass = manualClock(t)
  let done = 0
  const throttle = new Throttle(EVERY_MS, () => {
    done += 1
  })
  throttle.call()
  assert.equal(done, 0)
  pass(1)
  assert.equal(done, 1)
})

test('the work runs once in each interval, however often it is called for', (t) => {
  const pass = manualClock(t)
  let done = 0
  const throttle = new Throttle(EVERY_MS, () => {
    done += 1
  })
  for (let ms = 0; ms < 10 * EVERY_MS; ms += 1) {
    throttle.call()
    throttle.call()
    pass(1)
  }
  assert.equal(done, 10)
})

test('a call within an interval runs the work at its end, and a later call runs it at once', (t) => {
  const pass = manualClock(t)
  let done = 0
  const throttle = new Throttle(EVERY_MS, () => {
    done += 1
  })
  throttle.call()
  pass(10)
  throttle.call()
  pass(EVERY_MS - 10)
  assert.equal(done, 1)
  pass(1)
  assert.equal(done, 2)
  pass(5 * EVERY_MS)
  assert.equal(done, 2)
  throttle.call()
  pass(1)
  assert.equal(done, 3)
})

test('a call that still waits when the throttle stops has no effect', (t) => {
  const pass = manualClock(t)
  let done = 0
  const throttle = new Throttle(EVERY_MS, () => {
    done += 1
  })
  throttle.call()
  throttle.stop()
  pass(2 * EVERY_MS)
  assert.equal(done, 0)
})
