import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Deferred } from '../../../src/lib/async/deferred.ts'
import { Repeated } from '../../../src/lib/time/repeated.ts'

test('the work runs again and again, one run after the other, until it is stopped', async () => {
  let [runs, running] = [0, 0]
  const third = new Deferred<void>()
  const repeated = new Repeated(
    async () => {
      running += 1
      assert.equal(running, 1)
      await new Promise((resolve) => setImmediate(resolve))
      running -= 1
      runs += 1
      if (runs === 3) third.resolve()
      if (runs === 1) throw new Error('one failed run does not end the others')
    },
    { everyMs: 1, jitterMs: 1 },
  )
  repeated.start()
  // The timer of the work does not keep the process running.
  const alive = setInterval(() => {}, 1000)
  await third.promise
  clearInterval(alive)
  await repeated.stop()
  const ended = runs
  await new Promise((resolve) => setTimeout(resolve, 10))
  assert.equal(runs, ended)
})

test('a run under way is aborted and waited for', async () => {
  const begun = new Deferred<void>()
  let isEnded = false
  const repeated = new Repeated(
    async ({ signal }) => {
      begun.resolve()
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      isEnded = true
    },
    { everyMs: 1, jitterMs: 1 },
  )
  repeated.start()
  const alive = setInterval(() => {}, 1000)
  await begun.promise
  clearInterval(alive)
  await repeated.stop()
  assert.equal(isEnded, true)
})
