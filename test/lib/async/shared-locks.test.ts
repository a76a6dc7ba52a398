import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Deferred } from '../../../src/lib/async/deferred.ts'
import { SharedLocks } from '../../../src/lib/async/shared-locks.ts'

/** Work that notes its beginning, and ends when it is told to. */
function work(
  log: string[],
  name: string,
): { readonly run: () => Promise<string>; readonly end: () => void } {
  const ended = new Deferred<void>()
  return {
    run: async () => {
      log.push(name)
      await ended.promise
      return name
    },
    end: () => ended.resolve(),
  }
}

async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

test('many hold a lock shared at a time, and one exclusively after them', async () => {
  const locks = new SharedLocks()
  const log: string[] = []
  const [a, b, c, d] = [work(log, 'a'), work(log, 'b'), work(log, 'c'), work(log, 'd')]
  const all = [
    locks.shared('x', a.run),
    locks.shared('x', b.run),
    locks.exclusive('x', c.run),
    locks.shared('x', d.run),
  ]
  await settled()
  assert.deepEqual(log, ['a', 'b'])
  a.end()
  await settled()
  assert.deepEqual(log, ['a', 'b'])
  b.end()
  await settled()
  assert.deepEqual(log, ['a', 'b', 'c'], 'who asks later waits behind the exclusive one')
  c.end()
  await settled()
  assert.deepEqual(log, ['a', 'b', 'c', 'd'])
  d.end()
  assert.deepEqual(await Promise.all(all), ['a', 'b', 'c', 'd'])
  assert.equal(locks.size, 0)
})

test('locks of other names are free, and work that fails frees its lock', async () => {
  const locks = new SharedLocks()
  const log: string[] = []
  const held = work(log, 'held')
  const holding = locks.exclusive('x', held.run)
  assert.equal(await locks.exclusive('y', async () => 1), 1)
  await assert.rejects(
    locks.exclusive('y', async () => {
      throw new Error('failed')
    }),
    /failed/,
  )
  assert.equal(locks.size, 1)
  held.end()
  await holding
  assert.equal(locks.size, 0)
})
