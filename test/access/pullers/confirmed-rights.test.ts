import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfirmedRights } from '../../../src/access/pullers/confirmed-rights.ts'

const CONTENT = { kind: 'tags' } as const

test('a right is known for its time, until it is denied', () => {
  let now = 0
  const rights = new ConfirmedRights(() => now)
  assert.equal(rights.isConfirmed('a'), false)
  rights.confirm('a', CONTENT)
  now = 5 * 60_000 - 1
  assert.equal(rights.isConfirmed('a'), true)
  now += 1
  assert.equal(rights.isConfirmed('a'), false)
  assert.equal(rights.isConfirmed('a', now + 1), true)
  assert.equal(rights.contentOf('a'), CONTENT)
  rights.deny('a', 'tag')
  assert.equal(rights.contentOf('a'), undefined)
  assert.equal(rights.isConfirmed('a', now + 1), false)
  assert.deepEqual([rights.isDenied('a', 'tag'), rights.isDenied('a', 'other')], [true, false])
  now += 30_000
  assert.equal(rights.isDenied('a', 'tag'), false)
})

test('the rights that were confirmed longest ago give way', () => {
  const rights = new ConfirmedRights(() => 0)
  for (let n = 0; n <= 4096; n += 1) rights.confirm(`${n}`, CONTENT)
  assert.deepEqual([rights.isConfirmed('0'), rights.isConfirmed('1')], [false, true])
})
