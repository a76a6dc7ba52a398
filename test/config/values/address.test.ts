import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  doCollide,
  formatAddress,
  isLoopback,
  parseAddress,
  parseHost,
} from '../../../src/config/values/address.ts'
import { fc } from '../../../testkit/property-runs.ts'

test('addresses with names, IPv4 and bracketed IPv6 are parsed', () => {
  assert.deepEqual(parseAddress('127.0.0.1:5050'), { host: '127.0.0.1', port: 5050 })
  assert.deepEqual(parseAddress('[::1]:5050'), { host: '::1', port: 5050 })
  assert.deepEqual(parseAddress('localhost:0'), { host: 'localhost', port: 0 })
  assert.deepEqual(parseAddress('node-1.example.com:65535'), { host: 'node-1.example.com', port: 65535 })
})

test('a text that is not an address is refused', () => {
  for (const text of [
    '',
    '5050',
    ':5050',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:65536',
    '127.0.0.1:-1',
    '256.0.0.1:80',
    '127.0.0:80',
    '::1:5050',
    '[127.0.0.1]:80',
    '[::1]',
    'http://localhost:5050',
    'local host:80',
    '-a:80',
    'a..b:80',
    'user@host:80',
  ]) {
    assert.equal(parseAddress(text), undefined, text)
  }
})

test('an address that is written is parsed back', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()),
      fc.integer({ min: 0, max: 65535 }),
      (host, port) => {
        assert.deepEqual(parseAddress(formatAddress({ host, port })), { host, port })
      },
    ),
  )
})

test('a registry host may leave out its port and is made lower case', () => {
  assert.equal(parseHost('Registry-1.docker.io'), 'registry-1.docker.io')
  assert.equal(parseHost('localhost:5000'), 'localhost:5000')
  assert.equal(parseHost('[::1]:5000'), '[::1]:5000')
  for (const text of [
    'https://ghcr.io',
    'ghcr.io/acme',
    'ghcr.io:',
    'ghcr.io:0',
    '',
    'a b',
    'user:pw@ghcr.io',
  ]) {
    assert.equal(parseHost(text), undefined, text)
  }
})

test('only an address that this machine alone can reach is loopback', () => {
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', 'localhost', 'LOCALHOST'])
    assert.ok(isLoopback(host), host)
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.example.com', 'example.com', '::ffff:10.0.0.1']) {
    assert.ok(!isLoopback(host), host)
  }
})

test('addresses collide when no two programs can listen at both', () => {
  const at = (host: string, port = 5050): { host: string; port: number } => ({ host, port })
  for (const [one, other] of [
    [at('127.0.0.1'), at('127.0.0.1')],
    [at('localhost'), at('127.0.0.1')],
    [at('0.0.0.0'), at('127.0.0.1')],
    [at('10.0.0.1'), at('0.0.0.0')],
    [at('::'), at('127.0.0.1')],
    [at('0.0.0.0'), at('::')],
    [at('::1'), at('::')],
  ] as const) {
    assert.ok(doCollide(one, other) && doCollide(other, one), `${one.host} ${other.host}`)
  }
  for (const [one, other] of [
    [at('127.0.0.1'), at('127.0.0.2')],
    [at('127.0.0.1'), at('127.0.0.1', 5051)],
    [at('0.0.0.0', 0), at('127.0.0.1', 0)],
    [at('0.0.0.0'), at('::1')],
  ] as const) {
    assert.ok(!doCollide(one, other) && !doCollide(other, one), `${one.host} ${other.host}`)
  }
})
