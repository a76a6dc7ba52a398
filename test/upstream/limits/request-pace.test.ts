import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RequestPace } from '../../../src/upstream/limits/request-pace.ts'

test('requests begin one after another, and at once after a pause', () => {
  let now = 1000
  const pace = new RequestPace(10, () => now)
  assert.deepEqual([pace.waitMs('registry'), pace.waitMs('registry'), pace.waitMs('registry')], [0, 100, 200])
  now += 50
  assert.equal(pace.waitMs('registry'), 250)
  now += 1000
  assert.deepEqual([pace.waitMs('registry'), pace.waitMs('registry')], [0, 100])
})

test('a request that would wait for too long fails at once, and takes no turn', () => {
  const pace = new RequestPace(1, () => 0)
  for (let nth = 0; nth <= 20; nth++) assert.equal(pace.waitMs('registry'), nth * 1000)
  for (let nth = 0; nth < 2; nth++) {
    assert.throws(() => pace.waitMs('registry'), { code: 'busy', message: /maxRequestsPerSecond/ })
  }
})

test('a request whose client leaves does not wait any more', async () => {
  const pace = new RequestPace(1)
  const leaving = new AbortController()
  await pace.turn('registry', leaving)
  const turn = pace.turn('registry', leaving)
  leaving.abort(new Error('left'))
  await assert.rejects(turn, /left/)
})

test('a request is told that it waits and that it begins, and one that fails has not begun', async () => {
  const pace = new RequestPace(1, () => 0)
  const states: string[] = []
  const request = { signal: new AbortController().signal, onPace: (state: string) => states.push(state) }
  await pace.turn('registry', request)
  assert.deepEqual(states.splice(0), ['waits', 'begins'])
  while (pace.waitMs('registry') < 20_000);
  await assert.rejects(pace.turn('registry', request), { code: 'busy' })
  assert.deepEqual(states, ['waits'])
})
