import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Deferred } from '../../../src/lib/async/deferred.ts'

test('the promise is settled once, by its owner', async () => {
  const good = new Deferred<number>()
  good.resolve(1)
  good.resolve(2)
  good.reject(new Error('too late'))
  assert.equal(await good.promise, 1)
  const bad = new Deferred<number>()
  bad.reject(new Error('broken'))
  bad.resolve(1)
  await assert.rejects(bad.promise, /broken/)
})

test('resolve and reject can be passed on as functions', async () => {
  const { promise, resolve } = new Deferred<void>()
  setImmediate(resolve)
  await promise
})
