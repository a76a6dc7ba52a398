import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Throttle } from '../../../src/lib/async/throttle.ts'

const EVERY_MS = 100

/** Time that passes when the test says so: for timers, and for `performance.now`. */
function stillClock(t: TestContext): (ms: number) => void {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let now = 1000
  t.mock.method(performance, 'now', () => now)
  return (ms) => {
    // One step at a time, so that what runs in between sees its own time.
    for (let step = 0; step < ms; step += 1) {
      now += 1
      t.mock.timers.tick(1)
    }
  }
}

test('it is done soon, but not from within whatever calls for it', (t) => {
  const pass = stillClock(t)
  let done = 0
  const throttle = new Throttle(EVERY_MS, () => {
    done += 1
  })
  throttle.call()
  assert.equal(done, 0)
  pass(1)
  assert.equal(done, 1)
})

test('however often it is called for, it is done once in so long', (t) => {
  const pass = stillClock(t)
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

test('what is called for in between is done when it is time, and after a while at once again', (t) => {
  const pass = stillClock(t)
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

test('what is waited for when it is stopped is not done', (t) => {
  const pass = stillClock(t)
  let done = 0
  const throttle = new Throttle(EVERY_MS, () => {
    done += 1
  })
  throttle.call()
  throttle.stop()
  pass(2 * EVERY_MS)
  assert.equal(done, 0)
})
