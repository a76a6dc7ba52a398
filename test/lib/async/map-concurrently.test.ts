import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Deferred } from '../../../src/lib/async/deferred.ts'
import { mapConcurrently } from '../../../src/lib/async/map-concurrently.ts'

/** Work on items that is under way until the test ends it. */
class ControlledWork {
  readonly begun: string[] = []
  readonly #ends = new Map<string, Deferred<string>>()

  readonly work = (item: string): Promise<string> => {
    this.begun.push(item)
    const end = new Deferred<string>()
    this.#ends.set(item, end)
    return end.promise
  }

  end(item: string): void {
    this.#ends.get(item)?.resolve(item.toUpperCase())
  }

  fail(item: string): void {
    this.#ends.get(item)?.reject(new Error(`${item} is broken`))
  }
}

test('results are given as soon as they are there, and no more items than the limit are worked on', async () => {
  const control = new ControlledWork()
  const results = mapConcurrently(['a', 'b', 'c'], 2, control.work)
  const first = results.next()
  assert.deepEqual(control.begun, ['a', 'b'])
  control.end('b')
  assert.deepEqual(await first, { done: false, value: 'B' })
  const second = results.next()
  assert.deepEqual(control.begun, ['a', 'b', 'c'])
  control.end('c')
  assert.deepEqual(await second, { done: false, value: 'C' })
  const third = results.next()
  control.end('a')
  assert.deepEqual(await third, { done: false, value: 'A' })
  assert.deepEqual(await results.next(), { done: true, value: undefined })
})

test('without items the iteration ends at once', async () => {
  assert.deepEqual(await mapConcurrently([], 2, async () => 1).next(), { done: true, value: undefined })
})

test('the first failure ends the iteration, after the work under way has ended', async () => {
  const control = new ControlledWork()
  const results = mapConcurrently(['a', 'b', 'c'], 2, control.work)
  let isOver = false
  const over = results.next().finally(() => {
    isOver = true
  })
  control.fail('a')
  await new Promise(setImmediate)
  assert.equal(isOver, false)
  control.end('b')
  await assert.rejects(over, /a is broken/)
  assert.deepEqual(control.begun, ['a', 'b'])
})

test('ending the iteration waits for the work under way, and begins no more', async () => {
  const control = new ControlledWork()
  const results = mapConcurrently(['a', 'b', 'c', 'd'], 2, control.work)
  const first = results.next()
  control.end('a')
  await first
  let isOver = false
  const over = results.return(undefined).then(() => {
    isOver = true
  })
  await new Promise(setImmediate)
  assert.equal(isOver, false)
  control.end('b')
  await over
  assert.deepEqual(control.begun, ['a', 'b'])
})
