import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearest } from '../../../src/config/values/nearest.ts'

const KNOWN = ['listen', 'admin', 'data', 'maxBytes', 'logLevel', 'tlsCert', 'tlsKey']

test('a wrong letter, a swap and another spelling lead to the known word', () => {
  const table: readonly [string, string][] = [
    ['maxbytes', 'maxBytes'],
    ['max-bytes', 'maxBytes'],
    ['max_byte', 'maxBytes'],
    ['lsiten', 'listen'],
    ['adminn', 'admin'],
    ['dat', 'data'],
    ['tlscret', 'tlsCert'],
  ]
  for (const [word, meant] of table) assert.equal(nearest(word, KNOWN), meant, word)
})

test('no word is suggested for one that resembles none', () => {
  for (const word of ['', 'x', 'proxy', 'completely-different', 'z'.repeat(10_000)]) {
    assert.equal(nearest(word, KNOWN), undefined, word.slice(0, 20))
  }
})
