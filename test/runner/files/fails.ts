import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

describe('a suite', () => {
  test('one that fails', () => assert.equal(1, 2))
  test('one that is skipped', { skip: 'a reason' }, () => {})
  test('one that passes', () => {})
})
