import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressGroup, networkFilter, parseNetwork, plainAddress } from '../../src/lib/client-address.ts'

test('an address is compared in one form', () => {
  assert.equal(plainAddress('::ffff:10.0.0.1'), '10.0.0.1')
  assert.equal(plainAddress('fe80::1%eth0'), 'fe80::1')
  assert.equal(plainAddress('10.0.0.1'), '10.0.0.1')
})

test('IPv6 addresses of one /64 are counted as one, IPv4 addresses each', () => {
  assert.equal(addressGroup('10.0.0.1'), '10.0.0.1')
  assert.equal(addressGroup('::ffff:10.0.0.1'), '10.0.0.1')
  assert.equal(addressGroup('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64')
  assert.equal(addressGroup('2001:db8:1:2::1'), '2001:db8:1:2::/64')
  assert.equal(addressGroup('2001:db8::1'), '2001:db8:0:0::/64')
  assert.equal(addressGroup('::1'), '0:0:0:0::/64')
  assert.equal(addressGroup('fe80::aa%eth0'), 'fe80:0:0:0::/64')
  assert.equal(addressGroup(''), '')
})

test('a network is an address with a number of bits, or a single address', () => {
  assert.deepEqual(parseNetwork('10.0.0.0/8'), { address: '10.0.0.0', bits: 8 })
  assert.deepEqual(parseNetwork('10.0.0.1'), { address: '10.0.0.1', bits: 32 })
  assert.deepEqual(parseNetwork('fd00::/8'), { address: 'fd00::', bits: 8 })
  assert.deepEqual(parseNetwork('::1'), { address: '::1', bits: 128 })
  for (const text of [
    '',
    '10.0.0.0/33',
    '10.0.0/8',
    '10.0.0.256',
    'fd00::/129',
    'fd00:/8',
    '10.0.0.0/-1',
    'host/8',
    '10.0.0.0/8 ',
  ])
    assert.equal(parseNetwork(text), undefined, text)
})

test('an address is in a network however it is written', () => {
  const isInside = networkFilter(['10.0.0.0/8', 'fd00::/8'])
  for (const address of ['10.1.2.3', '::ffff:10.1.2.3', 'fd12::1', 'fd12::1%eth0'])
    assert.equal(isInside(address), true, address)
  for (const address of ['11.0.0.1', '::ffff:11.0.0.1', 'fe80::1', '', 'nonsense'])
    assert.equal(isInside(address), false, address)
  assert.equal(networkFilter(undefined)('anything'), true)
  assert.equal(networkFilter([])('10.0.0.1'), false)
})
