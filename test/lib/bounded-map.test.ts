import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BoundedMap } from '../../src/lib/bounded-map.ts'

test('a map has the entries that were set and not deleted', () => {
  const map = new BoundedMap<string, number>(2)
  map.set('a', 1)
  assert.deepEqual([map.get('a'), map.has('a'), map.size], [1, true, 1])
  map.set('a', 2)
  assert.deepEqual([map.get('a'), map.size], [2, 1])
  map.delete('a')
  map.delete('b')
  assert.deepEqual([map.get('a'), map.has('a'), map.size], [undefined, false, 0])
})

test('a full map forgets the entry that was set longest ago', () => {
  const map = new BoundedMap<number, number>(3)
  for (let n = 0; n < 10; n += 1) {
    map.set(n, n)
    assert.ok(map.size <= 3)
  }
  assert.deepEqual([...map.values()], [7, 8, 9])
})

test('setting an entry again makes it the newest, getting it does not', () => {
  const map = new BoundedMap<string, number>(2)
  map.set('a', 1)
  map.set('b', 2)
  map.set('a', 3)
  map.get('b')
  map.set('c', 4)
  assert.deepEqual([map.get('a'), map.has('b'), map.get('c')], [3, false, 4])
})

test('the value of an entry may be undefined', () => {
  const map = new BoundedMap<string, undefined>(1)
  map.set('a', undefined)
  assert.ok(map.has('a'))
  map.set('b', undefined)
  assert.deepEqual([map.has('a'), map.has('b')], [false, true])
})

test('entries may be deleted and set during an iteration', () => {
  const map = new BoundedMap<number, number>(4)
  for (let n = 0; n < 4; n += 1) map.set(n, n)
  const seen = []
  for (const n of map.values()) {
    seen.push(n)
    map.delete(n)
    if (n === 0) map.delete(1)
  }
  assert.deepEqual(seen, [0, 2, 3])
  assert.equal(map.size, 0)
})

test('an entry is forgotten when its time is over, counted from when it was set last', () => {
  let now = 1000
  const map = new BoundedMap<string, number>(4, { ttlMs: 100, now: () => now })
  map.set('a', 1)
  map.set('b', 2)
  now += 99
  map.set('a', 3)
  assert.deepEqual([map.get('b'), map.has('b')], [2, true])
  now += 1
  assert.deepEqual([...map.values()], [3])
  assert.deepEqual([map.get('b'), map.has('b'), map.get('a')], [undefined, false, 3])
  assert.equal(map.size, 1)
  now += 99
  assert.equal(map.has('a'), false)
})

test('without a time limit no entry is too old', () => {
  let now = 0
  const map = new BoundedMap<string, number>(4, { now: () => now })
  map.set('a', 1)
  now = Number.MAX_SAFE_INTEGER
  assert.deepEqual([map.get('a'), [...map.values()]], [1, [1]])
})
