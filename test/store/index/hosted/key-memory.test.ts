import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Deferred } from '../../../../src/lib/async/deferred.ts'
import { KeyMemory } from '../../../../src/store/index/hosted/key-memory.ts'

const unexpected = (): never => assert.fail('the value is in memory')

test('a value is loaded once, and one that is not there each time', async () => {
  const memory = new KeyMemory<number>()
  let loads = 0
  const load = async (): Promise<number> => ++loads
  assert.deepEqual(await Promise.all([memory.read('a', load), memory.read('a', load)]), [1, 1])
  assert.equal(await memory.read('a', unexpected), 1)
  assert.equal(await memory.read('b', async () => undefined), undefined)
  assert.equal(await memory.read('b', load), 2)
})

test('a value that was read before a change has ended is not remembered after it', async () => {
  const memory = new KeyMemory<string>()
  const before = new Deferred<string>()
  const written = new Deferred<void>()
  const early = memory.read('a', () => before.promise)
  const change = memory.change(new Map([['a', undefined]]), () => written.promise)
  assert.equal(await memory.read('a', async () => 'old, read meanwhile'), 'old, read meanwhile')
  written.resolve()
  await change
  before.resolve('old')
  assert.equal(await early, 'old')
  assert.equal(await memory.read('a', async () => 'new'), 'new')
  assert.equal(await memory.read('a', unexpected), 'new')
})

test('a change forgets what was in memory, also when it fails or overlaps with another one', async () => {
  const memory = new KeyMemory<string>()
  await memory.read('a', async () => 'old')
  const [first, second] = [new Deferred<void>(), new Deferred<void>()]
  const changes = [
    memory.change(new Map([['a', 'first']]), () => first.promise),
    memory.change(new Map([['a', 'second']]), () => second.promise),
  ]
  first.reject(new Error('the disk is full'))
  await assert.rejects(changes[0] ?? assert.fail(), /full/)
  assert.equal(await memory.read('a', async () => 'between'), 'between')
  second.resolve()
  await changes[1]
  assert.equal(memory.known('a'), undefined)
  assert.equal(await memory.read('a', async () => 'new'), 'new')
})

test('what a change has written is in memory, unless it failed', async () => {
  const memory = new KeyMemory<string>()
  await memory.change(new Map([['a', 'written']]), async () => {})
  assert.equal(memory.known('a'), 'written')
  const failing = memory.change(new Map([['a', 'not written']]), () => Promise.reject(new Error('full')))
  await assert.rejects(failing)
  assert.equal(memory.known('a'), undefined)
})
