import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { RequestPace } from '../../../src/upstream/limits/request-pace.ts'

const NEVER = { signal: new AbortController().signal }

/** A pace of `perSecond`, whose clock goes on by `pass`, and the names of the requests that have begun. */
function paceOf(t: TestContext, perSecond: number) {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let now = 1000
  const pace = new RequestPace(perSecond, () => now)
  const begun: string[] = []
  return {
    pace,
    begun,
    async pass(ms: number): Promise<void> {
      now += ms
      t.mock.timers.tick(ms)
      await turn()
    },
    ask(name: string, request: { signal: AbortSignal } = NEVER): Promise<void> {
      return pace.turn('registry', request).then(() => void begun.push(name))
    },
  }
}

test('requests begin one after another, and at once after a pause', async (t) => {
  const { begun, pass, ask } = paceOf(t, 10)
  const asked = ['a', 'b', 'c'].map((name) => ask(name))
  await turn()
  assert.deepEqual(begun, ['a'])
  await pass(99)
  assert.deepEqual(begun, ['a'])
  await pass(1)
  assert.deepEqual(begun, ['a', 'b'])
  asked.push(ask('d'))
  await pass(100)
  assert.deepEqual(begun, ['a', 'b', 'c'])
  await pass(100)
  await Promise.all(asked)
  await pass(1000)
  await ask('e')
  assert.deepEqual(begun, ['a', 'b', 'c', 'd', 'e'])
})

test('more requests may begin in a second than a timer fires', async (t) => {
  const { begun, pass, ask } = paceOf(t, 8000)
  const asked = Array.from({ length: 17 }, (_, nth) => ask(`${nth}`))
  await pass(1)
  await pass(1)
  await Promise.all(asked)
  assert.equal(begun.length, 17)
})

test('a request that would wait for too long fails at once, and takes no turn', async (t) => {
  const { begun, pass, ask } = paceOf(t, 1)
  const asked = Array.from({ length: 21 }, (_, nth) => ask(`${nth}`))
  for (let nth = 0; nth < 2; nth++) {
    await assert.rejects(ask('late'), { code: 'busy', message: /maxRequestsPerSecond/ })
  }
  for (let second = 0; second < 20; second++) await pass(1000)
  await Promise.all(asked)
  assert.equal(begun.length, 21)
})

test('a request whose client leaves does not wait any more, and the others have its turn', async (t) => {
  const { begun, pass, ask } = paceOf(t, 1)
  const leaving = new AbortController()
  const left = Array.from({ length: 21 }, (_, nth) => ask(`${nth}`, leaving))
  const ended = Promise.allSettled(left)
  leaving.abort(new Error('left'))
  const results = await ended
  assert.equal(results.filter(({ status }) => status === 'rejected').length, 20)
  const next = ask('next')
  await pass(1000)
  await next
  assert.deepEqual(begun, ['0', 'next'])
  await assert.rejects(ask('aborted', leaving), /left/)
})

test('a request is told that it waits and that it begins, and one that fails has not begun', async (t) => {
  const { pace, pass, ask } = paceOf(t, 1)
  const states: string[] = []
  const request = { ...NEVER, onPace: (state: string) => states.push(state) }
  await pace.turn('registry', request)
  assert.deepEqual(states.splice(0), ['waits', 'begins'])
  const asked = Array.from({ length: 20 }, (_, nth) => ask(`${nth}`))
  await assert.rejects(pace.turn('registry', request), { code: 'busy' })
  assert.deepEqual(states, ['waits'])
  for (let second = 0; second < 20; second++) await pass(1000)
  await Promise.all(asked)
})
