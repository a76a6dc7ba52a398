import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseHtpasswd } from '../../../src/access/passwords/htpasswd.ts'

const TAIL = 'oTrbVjL0nYTKqtVe7lLpoep2QAon3f9xppYHPhWfzmqH4LS8FUL6W'.slice(0, 53)

function parse(text: string): ReadonlyMap<string, string> {
  return parseHtpasswd(text, '/users')
}

test('users have the hash of their line; empty lines and comments are skipped', () => {
  const users = parse(`# users\n\nalice:$2y$05$${TAIL}\r\nbob smith:$2b$10$${TAIL}\n`)
  assert.deepEqual(
    [...users],
    [
      ['alice', `$2b$05$${TAIL}`],
      ['bob smith', `$2b$10$${TAIL}`],
    ],
  )
})

test('a line that is not of bcrypt is refused with its number, and without its hash', () => {
  const table: readonly [string, RegExp][] = [
    [
      'alice:$apr1$abc$def',
      /^\/users:1: the hash is not one of bcrypt; write the line again with htpasswd -B$/,
    ],
    [`a:$2y$05$${TAIL}\nalice:{SHA}abc`, /^\/users:2: the hash/],
    ['alice:hunter2', /^\/users:1: the hash/],
    ['alice', /^\/users:1: expected USER:HASH/],
    [`:$2y$05$${TAIL}`, /^\/users:1: expected USER:HASH/],
    [`a:$2y$05$${TAIL.slice(1)}`, /^\/users:1: the hash/],
    [`a:$2y$31$${TAIL}`, /^\/users:1: the cost 31 is not between 4 and 15/],
    [`a:$2y$05$${TAIL}\na:$2y$05$${TAIL}`, /^\/users:2: the user is in the file already/],
  ]
  for (const [text, message] of table) {
    assert.throws(
      () => parse(text),
      (error: Error) => message.test(error.message) && !/hunter2|apr1|SHA/.test(error.message),
      text,
    )
  }
})
