import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RingBuffer } from '../../../src/observe/records/ring-buffer.ts'

test('a full buffer drops its oldest item and returns it', () => {
  const buffer = new RingBuffer<number>(3)
  assert.deepEqual(
    [1, 2, 3, 4, 5].map((item) => buffer.add(item)),
    [undefined, undefined, undefined, 1, 2],
  )
  assert.deepEqual([...buffer.newestFirst()], [5, 4, 3])
})

test('a buffer that is not full yields its items, newest first', () => {
  const buffer = new RingBuffer<number>(3)
  assert.deepEqual([...buffer.newestFirst()], [])
  buffer.add(1)
  buffer.add(2)
  assert.deepEqual([...buffer.newestFirst()], [2, 1])
})
