import assert from 'node:assert/strict'
import { isIP, isIPv4 } from 'node:net'
import { test } from 'node:test'
import { guessHost } from '../../src/peers/peer-options.ts'

test('peers reach a server that listens on one address there', () => {
  assert.equal(guessHost('10.1.2.3'), '10.1.2.3')
  assert.equal(guessHost('node-a.example'), 'node-a.example')
})

test('the host of a server that listens on all addresses is one of this machine', () => {
  const host = guessHost('0.0.0.0')
  assert.ok(isIPv4(host) && host !== '0.0.0.0', host)
  const host6 = guessHost('::')
  assert.ok(isIP(host6) !== 0 && host6 !== '::' && !host6.startsWith('fe80'), host6)
})
