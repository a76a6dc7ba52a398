import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Deferred } from '../../../src/lib/async/deferred.ts'
import { Semaphore } from '../../../src/lib/async/semaphore.ts'

const { signal } = new AbortController()

/** Work that begins and ends when it is told, and notes that it has begun. */
function work(begun: string[], name: string): Deferred<string> & { run: () => Promise<string> } {
  const deferred = new Deferred<string>()
  const run = (): Promise<string> => {
    begun.push(name)
    return deferred.promise
  }
  return Object.assign(deferred, { run })
}

test('no more than so many at once, and the others in the order in which they came', async () => {
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

test('work that fails gives its place back', async () => {
  const semaphore = new Semaphore(1)
  const failing = semaphore.use(signal, async () => {
    throw new Error('broken')
  })
  await assert.rejects(failing, /broken/)
  assert.equal(await semaphore.use(signal, async () => 'next'), 'next')
})

test('who leaves while waiting is passed over, and nothing is begun for it', async () => {
  const semaphore = new Semaphore(1)
  const begun: string[] = []
  const leaving = new AbortController()
  const [a, b, c] = ['a', 'b', 'c'].map((name) => work(begun, name))
  assert.ok(a && b && c)
  const first = semaphore.use(signal, a.run)
  const left = semaphore.use(leaving.signal, b.run)
  const last = semaphore.use(signal, c.run)
  leaving.abort(new Error('left'))
  await assert.rejects(left, /left/)
  a.resolve('A')
  c.resolve('C')
  assert.deepEqual(await Promise.all([first, last]), ['A', 'C'])
  assert.deepEqual(begun, ['a', 'c'])
})

test('who has left before is not let in', async () => {
  const semaphore = new Semaphore(1)
  const begun: string[] = []
  const late = semaphore.use(AbortSignal.abort(new Error('left')), work(begun, 'late').run)
  await assert.rejects(late, /left/)
  assert.deepEqual(begun, [])
  assert.equal(await semaphore.use(signal, async () => 'next'), 'next')
})
