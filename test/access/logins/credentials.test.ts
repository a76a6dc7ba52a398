import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readCredentials } from '../../../src/access/logins/credentials.ts'

function basic(text: string | Buffer): string {
  return `Basic ${Buffer.from(text).toString('base64')}`
}

test('users with passwords and tokens are read', () => {
  const given = readCredentials(basic('alice:pass:word ü'))
  assert.deepEqual(given, { kind: 'password', user: 'alice', password: Buffer.from('pass:word ü') })
  assert.equal(readCredentials(basic('alice:x').replace('Basic', 'bASIC')).kind, 'password')
  assert.deepEqual(readCredentials('bearer abc.def'), { kind: 'token', token: 'abc.def' })
})

test('a client without a login sends no header, or an empty user with an empty password', () => {
  for (const header of [undefined, '', basic(':')])
    assert.deepEqual(readCredentials(header), { kind: 'none' }, header)
})

test('what cannot be read is neither a login nor no login', () => {
  const table = [
    'Basic',
    'Basic  ',
    'Basic ?',
    'Basic YQ==, Basic YQ==',
    basic('alice'),
    basic(':password'),
    basic('alice:a\0b'),
    basic('al\nice:a'),
    basic(`${'a'.repeat(256)}:a`),
    basic(`a:${'a'.repeat(1025)}`),
    'Digest username="a"',
    'Negotiate abc',
    `Bearer ${'a'.repeat(16_385)}`,
    'Bearer a b',
    'alice:password',
  ]
  for (const header of table) assert.deepEqual(readCredentials(header), { kind: 'unusable' }, header)
})
