import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import {
  isWithinScope,
  scopeLimitOfUnlisted,
  scopeOfHostname,
} from '../../../src/upstream/options/address-scope.ts'
import { fc } from '../../../testkit/property-runs.ts'

const SCOPES = [
  ['93.184.216.34', 'public'],
  ['2606:2800:220:1::1', 'public'],
  ['10.0.0.1', 'private'],
  ['172.16.0.1', 'private'],
  ['172.31.255.255', 'private'],
  ['172.32.0.1', 'public'],
  ['192.168.1.1', 'private'],
  ['100.64.0.1', 'private'],
  ['fd12:3456::1', 'private'],
  ['255.255.255.255', 'special'],
  ['240.0.0.1', 'special'],
  ['224.0.0.1', 'special'],
  ['239.255.255.255', 'special'],
  ['192.0.0.1', 'special'],
  ['192.0.2.1', 'special'],
  ['192.88.99.1', 'special'],
  ['198.51.100.1', 'special'],
  ['203.0.113.1', 'special'],
  ['198.18.0.1', 'special'],
  ['198.19.255.255', 'special'],
  ['198.20.0.1', 'public'],
  ['223.255.255.255', 'public'],
  ['100.128.0.1', 'public'],
  ['100.100.100.200', 'link-local'],
  ['100.100.100.201', 'private'],
  ['168.63.129.16', 'link-local'],
  ['168.63.129.17', 'public'],
  ['192.0.0.192', 'link-local'],
  ['0.1.2.3', 'loopback'],
  ['100::1', 'special'],
  ['2001:db8::1', 'special'],
  ['3fff::1', 'special'],
  ['2001::1', 'special'],
  ['2001:2::1', 'special'],
  ['2001:10::1', 'special'],
  ['2001:20::1', 'special'],
  ['2001:200::1', 'public'],
  ['ff02::1', 'special'],
  ['4000::1', 'special'],
  ['5f00::1', 'special'],
  ['fec0::1', 'private'],
  ['fd00:ec2::253', 'link-local'],
  ['fd20:ce::254', 'link-local'],
  ['2002:7f00:1::', 'loopback'],
  ['2002:a9fe:a9fe::1', 'link-local'],
  ['2002:c000:201::1', 'special'],
  ['2002:808:808::1', 'public'],
  ['::127.0.0.1', 'loopback'],
  ['::ffff:0:127.0.0.1', 'loopback'],
  ['64:ff9b:1::127.0.0.1', 'loopback'],
  ['64:ff9b:1::8.8.8.8', 'public'],
  ['64:ff9b:1:0:7f:0:100:0', 'special'],
  ['127.0.0.1', 'loopback'],
  ['127.9.9.9', 'loopback'],
  ['0.0.0.0', 'loopback'],
  ['::1', 'loopback'],
  ['::', 'loopback'],
  ['localhost', 'loopback'],
  ['a.localhost', 'loopback'],
  ['localhost.', 'loopback'],
  ['LOCALHOST', 'loopback'],
  ['A.LocalHost.', 'loopback'],
  ['169.254.169.254', 'link-local'],
  ['fe80::1', 'link-local'],
  ['fd00:ec2::254', 'link-local'],
  ['::ffff:169.254.169.254', 'link-local'],
  ['::ffff:10.0.0.1', 'private'],
  ['64:ff9b::7f00:1', 'loopback'],
  ['::ffff:93.184.216.34', 'public'],
  ['registry.example.com', undefined],
] as const

for (const [host, scope] of SCOPES) {
  test(`${host} has the scope ${scope ?? 'that DNS gives it'}`, () => {
    assert.equal(scopeOfHostname(host), scope)
    const url = new URL(
      host.includes('::') || host.split(':').length > 2 ? `http://[${host}]/` : `http://${host}/`,
    )
    assert.equal(scopeOfHostname(url.hostname), scope, 'the scope is the same for the host name of a URL')
  })
}

test('an IPv4 address in an unusual notation has its own scope', () => {
  for (const notation of [
    '2130706433',
    '0x7f.1',
    '0177.0.0.1',
    '127.1',
    '127.0.0.1.',
    '0X7F.0.0.1',
    '①②⑦.1',
  ]) {
    assert.equal(scopeOfHostname(new URL(`http://${notation}/`).hostname), 'loopback')
  }
})

test('a limit permits its own scope and those further out', () => {
  assert.ok(isWithinScope('public', 'public'))
  assert.ok(!isWithinScope('private', 'public'))
  assert.ok(isWithinScope('private', 'loopback'))
  assert.ok(!isWithinScope('link-local', 'loopback'))
  assert.ok(isWithinScope('link-local', 'link-local'))
})

const byte = fc.integer({ min: 0, max: 255 })
const ipv4 = fc.oneof(
  fc.tuple(byte, byte, byte, byte).map((bytes) => bytes.join('.')),
  fc.constantFrom(...SCOPES.map(([host]) => host).filter((host) => isIP(host) === 4)),
)

function hexOf(ip: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = ip.split('.').map(Number)
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
}

const EMBEDDINGS: Readonly<Record<string, (ip: string) => string>> = {
  mapped: (ip) => `::ffff:${ip}`,
  'mapped, in hexadecimal': (ip) => `::ffff:${hexOf(ip)}`,
  'written out': (ip) => `0000:0:0:0:0:FFFF:${hexOf(ip)}`,
  compatible: (ip) => `::${hexOf(ip)}`,
  translated: (ip) => `::ffff:0:${ip}`,
  NAT64: (ip) => `64:ff9b::${ip}`,
  'local NAT64': (ip) => `64:ff9b:1::${ip}`,
  '6to4': (ip) => `2002:${hexOf(ip)}::1`,
}

for (const [how, embed] of Object.entries(EMBEDDINGS)) {
  test(`an IPv4 address embedded in an IPv6 address (${how}) keeps its scope`, () => {
    fc.assert(
      fc.property(ipv4, (ip) => {
        const embedded = embed(ip)
        const scope = scopeOfHostname(ip)
        assert.equal(scopeOfHostname(embedded), scope)
        assert.equal(scopeOfHostname(`[${embedded}]`), scope)
        assert.equal(scopeOfHostname(new URL(`http://[${embedded}]/`).hostname), scope)
      }),
    )
  })
}

test('every notation of an IPv4 address in a URL has the same scope', () => {
  fc.assert(
    fc.property(ipv4, fc.constantFrom(8, 10, 16), fc.constantFrom('', '.'), (ip, radix, dot) => {
      const write = (part: number): string => `${{ 8: '0', 10: '', 16: '0x' }[radix]}${part.toString(radix)}`
      const parts = ip.split('.').map(Number)
      const whole = parts.reduce((sum, part) => sum * 256 + part, 0)
      for (const text of [parts.map(write).join('.'), write(whole)]) {
        assert.equal(scopeOfHostname(new URL(`http://${text}${dot}/`).hostname), scopeOfHostname(ip), text)
      }
    }),
  )
})

test('every IP address has a scope', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (ip) => {
      assert.notEqual(scopeOfHostname(ip), undefined)
    }),
  )
})

test('a registry that is not listed may have a name that resolves into the private network, or a public address', () => {
  const refused = (hostname: string): boolean => {
    const scope = scopeOfHostname(hostname)
    return scope !== undefined && !isWithinScope(scope, scopeLimitOfUnlisted(hostname))
  }
  for (const [host, scope] of SCOPES) {
    assert.equal(refused(host), scope !== undefined && scope !== 'public', host)
  }
  assert.equal(scopeLimitOfUnlisted('registry.example.com'), 'private')
})
