import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Deferred } from '../../../src/lib/async/deferred.ts'
import { Semaphore } from '../../../src/lib/async/semaphore.ts'

const { signal } = new AbortController()

/** Work that records its beginning and lasts until the test ends it. */
function work(begun: string[], name: string): Deferred<string> & { run: () => Promise<string> } {
  const deferred = new Deferred<string>()
  const run = (): Promise<string> => {
    begun.push(name)
    return deferred.promise
  }
  return Object.assign(deferred, { run })
}

test('no more calls than the limit run at a time, and the others wait in their order', async () => {
  const semaphore = new Semaphore(2)
  const begun: string[] = []
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => work(begun, name))
  const ended = [a, b, c, d].map((one) => one && semaphore.use(signal, one.run))
  await new Promise(setImmediate)
  assert.deepEqual(begun, ['a', 'b'])
  b?.resolve('B')
  assert.equal(await ended[1], 'B')
  await new Promise(setImmediate)
  assert.deepEqual(begun, ['a', 'b', 'c'])
  a?.resolve('A')
  c?.resolve('C')
  d?.resolve('D')
  assert.deepEqual(await Promise.all(ended), ['A', 'B', 'C', 'D'])
})

test('work that fails lets the next call run', async () => {
  const semaphore = new Semaphore(1)
  const failing = semaphore.use(signal, async () => {
    throw new Error('broken')
  })
  await assert.rejects(failing, /broken/)
  assert.equal(await semaphore.use(signal, async () => 'next'), 'next')
})

test('a call that is aborted while it waits is passed over, and its work does not begin', async () => {
  const semaphore = new Semaphore(1)
  const begun: string[] = []
  const controller = new AbortController()
  const [a, b, c] = ['a', 'b', 'c'].map((name) => work(begun, name))
  assert.ok(a && b && c)
  const first = semaphore.use(signal, a.run)
  const left = semaphore.use(controller.signal, b.run)
  const last = semaphore.use(signal, c.run)
  controller.abort(new Error('left'))
  await assert.rejects(left, /left/)
  a.resolve('A')
  c.resolve('C')
  assert.deepEqual(await Promise.all([first, last]), ['A', 'C'])
  assert.deepEqual(begun, ['a', 'c'])
})

test('a call with an aborted signal is rejected, and its work does not begin', async () => {
  const semaphore = new Semaphore(1)
  const begun: string[] = []
  const late = semaphore.use(AbortSignal.abort(new Error('left')), work(begun, 'late').run)
  await assert.rejects(late, /left/)
  assert.deepEqual(begun, [])
  assert.equal(await semaphore.use(signal, async () => 'next'), 'next')
})
