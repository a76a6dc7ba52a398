import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RequestSlots } from '../../../../src/fetch/flight/ahead/request-slots.ts'

test('there are so many slots and no more, and who waits is told once when one is free', () => {
  const slots = new RequestSlots(1)
  let told = 0
  const onFree = (): void => {
    told += 1
  }
  assert.equal(slots.take('registry', onFree), true)
  assert.equal(slots.take('registry', onFree), false)
  assert.equal(slots.take('registry', onFree), false)
  slots.giveBack('registry')
  assert.equal(told, 1)
  assert.equal(slots.take('registry', onFree), true)
  slots.giveBack('registry')
  assert.equal(told, 1)
})

test('who does not wait any more is not told', () => {
  const slots = new RequestSlots(1)
  const onFree = (): never => assert.fail('told')
  slots.take('registry', onFree)
  slots.take('registry', onFree)
  slots.forget(onFree)
  slots.giveBack('registry')
})

test('one host has half of the slots at most', () => {
  const slots = new RequestSlots(4)
  let told = 0
  const onFree = (): void => {
    told += 1
  }
  assert.deepEqual(
    [1, 2, 3].map(() => slots.take('slow', onFree)),
    [true, true, false],
  )
  assert.deepEqual(
    [1, 2, 3].map(() => slots.take('other', onFree)),
    [true, true, false],
  )
  assert.equal(slots.usedCount, 4)
  slots.giveBack('slow')
  assert.equal(told, 1)
  assert.equal(slots.take('other', onFree), false)
  assert.equal(slots.take('third', onFree), true)
})
