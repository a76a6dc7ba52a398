import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../src/ports/failure.ts'
import { Patience } from '../../../src/warm/content/patience.ts'

const { signal } = new AbortController()
const REFUSED = new Failure('unavailable', 'r.io: ECONNREFUSED', { retryAfterMs: 0 })
const NOT_ASKED = new Failure('busy', 'r.io is not asked for now: ECONNREFUSED', {
  retryAfterMs: 3_600_000,
  cause: REFUSED,
})
const LIMITED = new Failure('busy', 'r.io limits requests', { retryAfterMs: 0 })

/** Fails in these ways, one after the other, and then succeeds. */
function failing(...failures: readonly Failure[]): () => Promise<string> {
  const rest = [...failures]
  return async () => {
    const failure = rest.shift()
    if (failure !== undefined) throw failure
    return 'done'
  }
}

test('a registry that does not answer, or is not asked because of that, fails at once without a wait', async () => {
  for (const failure of [REFUSED, NOT_ASKED]) {
    await assert.rejects(new Patience(0).retry(failing(failure), signal), failure)
  }
})

test('with a wait it is asked again until the wait is over', async () => {
  assert.equal(await new Patience(3_600_000).retry(failing(REFUSED, REFUSED), signal), 'done')
  // The last try is at the end of the wait, however late the registry wants to be asked.
  assert.equal(await new Patience(100).retry(failing(NOT_ASKED), signal), 'done')
  await assert.rejects(new Patience(20).retry(failing(...Array(100).fill(NOT_ASKED)), signal), NOT_ASKED)
})

test('a registry that limits requests is asked four times, unless it wants a long pause', async () => {
  assert.equal(await new Patience(0).retry(failing(LIMITED, LIMITED, LIMITED), signal), 'done')
  await assert.rejects(new Patience(0).retry(failing(LIMITED, LIMITED, LIMITED, LIMITED), signal), LIMITED)
  const long = new Failure('busy', 'r.io limits requests', { retryAfterMs: 31_000 })
  await assert.rejects(new Patience(0).retry(failing(long), signal), long)
})

test('what is waited for can be told while it is waited for, and a stop ends the wait', async () => {
  const patience = new Patience(6000)
  const stop = new AbortController()
  assert.equal(patience.waitsFor, undefined)
  const waiting = patience.retry(failing(NOT_ASKED), stop.signal)
  await new Promise((resolve) => setImmediate(resolve))
  assert.match(patience.waitsFor ?? '', /^r\.io is not asked for now: ECONNREFUSED, next try in [1-6] s$/)
  stop.abort(new Error('stopped'))
  await assert.rejects(waiting, /stopped/)
  assert.equal(patience.waitsFor, undefined)
})
