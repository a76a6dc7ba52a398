import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RequestSlots } from '../../../../src/fetch/flight/ahead/request-slots.ts'

test('there are so many slots and no more, and who waits is told once when one is free', () => {
  const slots = new RequestSlots(1)
  let told = 0
  const onFree = (): void => {
    told += 1
  }
  assert.equal(slots.take(onFree), true)
  assert.equal(slots.take(onFree), false)
  assert.equal(slots.take(onFree), false)
  slots.giveBack()
  assert.equal(told, 1)
  assert.equal(slots.take(onFree), true)
  slots.giveBack()
  assert.equal(told, 1)
})

test('who does not wait any more is not told', () => {
  const slots = new RequestSlots(1)
  const onFree = (): never => assert.fail('told')
  slots.take(onFree)
  slots.take(onFree)
  slots.forget(onFree)
  slots.giveBack()
})
