import assert from 'node:assert/strict'
import { test } from 'node:test'
import { networkFilter, plainAddress } from '../../../src/lib/client-address.ts'
import { AddressRanges } from '../../../src/redirects/clients/address-ranges.ts'
import { fc, runs } from '../../../testkit/property-runs.ts'

test('an address is in the networks of its family', () => {
  const ranges = new AddressRanges(['10.0.0.0/8', '192.168.1.7', '2001:db8::/32', 'fd00::1'])
  for (const address of [
    '10.0.0.0',
    '10.255.255.255',
    '::ffff:10.1.2.3',
    '192.168.1.7',
    '2001:db8:ffff::1',
    'fd00::1',
  ])
    assert.ok(ranges.has(address), address)
  for (const address of [
    '9.255.255.255',
    '11.0.0.0',
    '192.168.1.8',
    '2001:db9::',
    'fd00::2',
    '::a00:1',
    '',
    'x',
  ])
    assert.ok(!ranges.has(address), address)
})

test('networks may overlap, touch, and be in any order', () => {
  const ranges = new AddressRanges([
    '10.1.0.0/16',
    '10.0.0.0/8',
    '11.0.0.0/8',
    '0.0.0.0/32',
    '255.255.255.255/32',
  ])
  for (const address of ['10.1.2.3', '10.255.0.0', '11.255.255.255', '0.0.0.0', '255.255.255.255'])
    assert.ok(ranges.has(address), address)
  assert.ok(!ranges.has('12.0.0.0'))
  assert.ok(new AddressRanges(['0.0.0.0/0']).has('255.255.255.255'))
  assert.ok(!new AddressRanges([]).has('10.0.0.1'))
  assert.throws(() => new AddressRanges(['10.0.0.0/33']), /is not a network/)
})

test('the answers are those of a list that is searched from its start', () => {
  for (const [address, bits] of [
    [fc.ipV4(), 32],
    [fc.ipV6(), 128],
  ] as const) {
    const network = fc.tuple(address, fc.integer({ min: 0, max: bits })).map((parts) => parts.join('/'))
    fc.assert(
      fc.property(fc.array(network, { maxLength: 20 }), fc.array(address), (networks, addresses) => {
        const [ranges, isInList] = [new AddressRanges(networks), networkFilter(networks)]
        // Node finds an IPv4 address that is written as an IPv6 one in IPv6 networks, too.
        const plain = addresses.filter((each) => plainAddress(each) === each)
        for (const each of plain) assert.equal(ranges.has(each), isInList(each), each)
      }),
      runs(200),
    )
  }
})
