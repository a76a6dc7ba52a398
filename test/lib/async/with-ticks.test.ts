import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Deferred } from '../../../src/lib/async/deferred.ts'
import { withTicks } from '../../../src/lib/async/with-ticks.ts'

const NEVER_MS = 60_000

test('items are passed on in their order', async () => {
  async function* given(): AsyncGenerator<number> {
    yield 1
    yield 2
  }
  const found = []
  for await (const item of withTicks(given(), NEVER_MS, () => 'tick')) found.push(item)
  assert.deepEqual(found, [1, 2])
})

test('ticks come while the next item is not there, and no item is lost', async () => {
  const late = new Deferred<number>()
  async function* given(): AsyncGenerator<number> {
    yield await late.promise
    yield 2
  }
  let ticks = 0
  const found = []
  const tick = (): string => {
    ticks += 1
    if (ticks === 3) late.resolve(1)
    return `tick ${ticks}`
  }
  for await (const item of withTicks(given(), 1, tick)) if (typeof item === 'number') found.push(item)
  assert.deepEqual(found, [1, 2])
  assert.ok(ticks >= 3)
})

test('a failure is passed on', async () => {
  async function* given(): AsyncGenerator<number> {
    yield 1
    throw new Error('broken')
  }
  const items = withTicks(given(), NEVER_MS, () => 'tick')
  assert.equal((await items.next()).value, 1)
  await assert.rejects(items.next(), /broken/)
})

test('ending the iteration ends the source, after its step under way', async () => {
  const step = new Deferred<void>()
  const seen: string[] = []
  async function* given(): AsyncGenerator<number> {
    try {
      yield 1
      await step.promise
      seen.push('step')
      yield 2
    } finally {
      seen.push('ended')
    }
  }
  const items = withTicks(given(), 1, () => 'tick')
  assert.equal((await items.next()).value, 1)
  assert.equal((await items.next()).value, 'tick')
  const over = items.return(undefined)
  await new Promise(setImmediate)
  assert.deepEqual(seen, [])
  step.resolve()
  await over
  assert.deepEqual(seen, ['step', 'ended'])
})
