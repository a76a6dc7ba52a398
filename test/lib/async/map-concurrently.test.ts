import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Deferred } from '../../../src/lib/async/deferred.ts'
import { mapConcurrently } from '../../../src/lib/async/map-concurrently.ts'

/** Work that is under way until it is told to end. */
class Hands {
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

test('results come as they are done, of so many at once', async () => {
  const hands = new Hands()
  const results = mapConcurrently(['a', 'b', 'c'], 2, hands.work)
  const first = results.next()
  assert.deepEqual(hands.begun, ['a', 'b'])
  hands.end('b')
  assert.deepEqual(await first, { done: false, value: 'B' })
  const second = results.next()
  assert.deepEqual(hands.begun, ['a', 'b', 'c'])
  hands.end('c')
  assert.deepEqual(await second, { done: false, value: 'C' })
  const third = results.next()
  hands.end('a')
  assert.deepEqual(await third, { done: false, value: 'A' })
  assert.deepEqual(await results.next(), { done: true, value: undefined })
})

test('of nothing it is over at once', async () => {
  assert.deepEqual(await mapConcurrently([], 2, async () => 1).next(), { done: true, value: undefined })
})

test('the first failure ends it, when what is under way has ended', async () => {
  const hands = new Hands()
  const results = mapConcurrently(['a', 'b', 'c'], 2, hands.work)
  let isOver = false
  const over = results.next().finally(() => {
    isOver = true
  })
  hands.fail('a')
  await new Promise(setImmediate)
  assert.equal(isOver, false)
  hands.end('b')
  await assert.rejects(over, /a is broken/)
  assert.deepEqual(hands.begun, ['a', 'b'])
})

test('who takes no more of it waits for what is under way, and begins nothing', async () => {
  const hands = new Hands()
  const results = mapConcurrently(['a', 'b', 'c', 'd'], 2, hands.work)
  const first = results.next()
  hands.end('a')
  await first
  let isOver = false
  const over = results.return(undefined).then(() => {
    isOver = true
  })
  await new Promise(setImmediate)
  assert.equal(isOver, false)
  hands.end('b')
  await over
  assert.deepEqual(hands.begun, ['a', 'b'])
})
