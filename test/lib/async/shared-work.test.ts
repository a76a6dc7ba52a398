import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Deferred } from '../../../src/lib/async/deferred.ts'
import { SharedWork } from '../../../src/lib/async/shared-work.ts'

test('callers share the work that is under way', async () => {
  const work = new SharedWork<number>()
  const answer = new Deferred<number>()
  let runs = 0
  const run = () =>
    work.run('a', () => {
      runs += 1
      return answer.promise
    })
  const first = run()
  const second = run()
  assert.deepEqual([first.joined, second.joined, runs, work.size], [false, true, 1, 1])
  assert.deepEqual([work.has('a'), work.has('b')], [true, false])
  answer.resolve(7)
  assert.deepEqual(await Promise.all([first.promise, second.promise]), [7, 7])
  assert.deepEqual([work.size, work.has('a')], [0, false])
})

test('work for another key, and later work for the same key, runs separately', async () => {
  const work = new SharedWork<string>()
  const [a, b] = [work.run('a', async () => 'one'), work.run('b', async () => 'two')]
  assert.deepEqual([await a.promise, await b.promise], ['one', 'two'])
  const again = work.run('a', async () => 'three')
  assert.deepEqual([again.joined, await again.promise], [false, 'three'])
})

test('a failure rejects for all callers, is not remembered, and needs no handler', async () => {
  const work = new SharedWork<string>()
  const fail = async (): Promise<string> => {
    throw new Error('broken')
  }
  const { promise } = work.run('a', fail)
  await assert.rejects(work.run('a', fail).promise, /broken/)
  await assert.rejects(promise, /broken/)
  assert.equal(work.size, 0)
  assert.equal(await work.run('a', async () => 'good').promise, 'good')
  const unhandled: unknown[] = []
  const note = (error: unknown): void => void unhandled.push(error)
  process.on('unhandledRejection', note)
  work.run('a', fail)
  // An unhandled rejection is reported after the microtasks.
  await new Promise(setImmediate)
  process.off('unhandledRejection', note)
  assert.deepEqual(unhandled, [])
})
