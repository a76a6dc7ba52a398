import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { errorCode } from '../../src/lib/error-code.ts'

test('an error of the system has a code', async () => {
  const error = await readFile('/no such file').catch((thrown: unknown) => thrown)
  assert.equal(errorCode(error), 'ENOENT')
})

test('a value that is no error, or whose code is no text, has no code', () => {
  const coded = (code: unknown): Error => Object.assign(new Error('broken'), { code })
  for (const thrown of [undefined, null, 'ENOENT', { code: 'ENOENT' }, new Error('broken'), coded(7)]) {
    assert.equal(errorCode(thrown), undefined)
  }
  assert.equal(errorCode(coded('LEVEL_LOCKED')), 'LEVEL_LOCKED')
})
