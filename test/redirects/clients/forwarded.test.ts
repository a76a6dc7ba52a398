import assert from 'node:assert/strict'
import { test } from 'node:test'
import { networkFilter } from '../../../src/lib/client-address.ts'
import { clientAddressOf } from '../../../src/redirects/clients/forwarded.ts'
import { fc, runs } from '../../../testkit/property-runs.ts'

const PROXY = '10.0.0.1'
const isTrusted = networkFilter(['10.0.0.0/24', 'fd00::/64'])

function by(forwardedFor: string | undefined, forwarded?: string, address = PROXY) {
  return clientAddressOf({ address, forwardedFor, forwarded }, isTrusted)
}

test('without a trusted proxy the address is that of the connection, whatever the headers say', () => {
  assert.equal(by('192.0.2.1', undefined, '198.51.100.7'), '198.51.100.7')
  assert.equal(by('192.0.2.1', 'for=192.0.2.1', '::ffff:198.51.100.7'), '198.51.100.7')
  assert.equal(
    clientAddressOf({ address: PROXY, forwardedFor: '192.0.2.1', forwarded: undefined }, () => false),
    PROXY,
  )
  assert.equal(by('192.0.2.1', undefined, ''), undefined)
})

test('of a trusted proxy the last hop that is not a trusted proxy counts', () => {
  const table: readonly [string, string | undefined][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['203.0.113.9, 192.0.2.1', '192.0.2.1'],
    ['203.0.113.9,192.0.2.1 , 10.0.0.7', '192.0.2.1'],
    ['10.0.0.9, 10.0.0.8', '10.0.0.9'],
    ['192.0.2.1:5000', '192.0.2.1'],
    ['[2001:db8::1]:5000', '2001:db8::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['203.0.113.9, unknown', undefined],
    ['203.0.113.9, x, 10.0.0.8', undefined],
    ['203.0.113.9,', undefined],
    ['', undefined],
  ]
  for (const [header, expected] of table) assert.equal(by(header), expected, header)
})

test('Forwarded is read in the same way', () => {
  const table: readonly [string, string | undefined][] = [
    ['for=192.0.2.1', '192.0.2.1'],
    ['For="[2001:db8::1]:4711";proto=https', '2001:db8::1'],
    ['for=203.0.113.9, for=192.0.2.1;by=10.0.0.1, proto=http;for=10.0.0.7', '192.0.2.1'],
    ['for=192.0.2.1;host="a,b;c"', '192.0.2.1'],
    ['for=_hidden', undefined],
    ['for=unknown', undefined],
    ['proto=https', undefined],
    ['for=1.1.1.1;for=192.0.2.1', undefined],
    ['proto=https,, For = 192.0.2.1 ;;by=x,', '192.0.2.1'],
    ['for=192.0.2.1;x="\\"a,b\\\\"', '192.0.2.1'],
    ['for==192.0.2.1', undefined],
    ['for', undefined],
  ]
  for (const [header, expected] of table) assert.equal(by(undefined, header), expected, header)
})

test('a client cannot hide what its proxy adds, nor put an address into what the proxy repeats', () => {
  assert.equal(by(undefined, 'for=192.0.2.1;host="evil,for=203.0.113.9;x="'), '192.0.2.1')
  assert.equal(by(undefined, 'for=203.0.113.9;x=", for=192.0.2.1'), undefined)
  assert.equal(by(undefined, 'for=203.0.113.9;x="\\", for="[2001:db8::1]"'), undefined)
  const wanted = '203.0.113.9'
  const character = fc.constantFrom('"', '\\', ',', ';', '=', ' ', 'f', 'o', 'r', `for=${wanted}`, wanted)
  fc.assert(
    fc.property(fc.array(character, { maxLength: 12 }), fc.boolean(), (sent, isQuoted) => {
      const added = isQuoted ? 'for="192.0.2.1";host="x"' : 'for=192.0.2.1'
      const address = by(undefined, `${sent.join('')}, ${added}`)
      assert.ok(address === undefined || address === '192.0.2.1', `${sent.join('')}: ${address}`)
    }),
    runs(200),
  )
})

test('a Forwarded header of more than 2 KiB is not read, so that it cannot keep the agent busy', () => {
  const withLength = (length: number): string => 'for=192.0.2.1'.padStart(length)
  assert.equal(by(undefined, withLength(2048)), '192.0.2.1')
  assert.equal(by(undefined, withLength(2049)), undefined)
  assert.equal(by('192.0.2.1', withLength(2049)), PROXY)
})

test('two headers that do not agree are not believed', () => {
  assert.equal(by('192.0.2.1', 'for=192.0.2.1'), '192.0.2.1')
  assert.equal(by('192.0.2.1', 'for=203.0.113.9'), PROXY)
  assert.equal(by(undefined, undefined), PROXY)
})
