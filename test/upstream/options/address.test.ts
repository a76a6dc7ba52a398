import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  AddressRefused,
  checkHostname,
  findReach,
  lookupWithin,
  mayReach,
  type Reach,
  reachFrom,
  reachOfHostname,
  reachUnlisted,
} from '../../../src/upstream/options/address.ts'

const REACHES = [
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

for (const [host, reach] of REACHES) {
  test(`${host} lies ${reach ?? 'where only DNS knows'}`, () => {
    assert.equal(reachOfHostname(host), reach)
    const url = new URL(
      host.includes('::') || host.split(':').length > 2 ? `http://[${host}]/` : `http://${host}/`,
    )
    assert.equal(reachOfHostname(url.hostname), reach, 'and so it does as a URL writes it')
  })
}

test('an IPv4 address in disguise is seen through', () => {
  for (const disguise of [
    '2130706433',
    '0x7f.1',
    '0177.0.0.1',
    '127.1',
    '127.0.0.1.',
    '0X7F.0.0.1',
    '①②⑦.1',
  ]) {
    assert.equal(reachOfHostname(new URL(`http://${disguise}/`).hostname), 'loopback')
  }
})

test('a limit admits what lies as deep or further out', () => {
  assert.ok(mayReach('public', 'public'))
  assert.ok(!mayReach('private', 'public'))
  assert.ok(mayReach('private', 'loopback'))
  assert.ok(!mayReach('link-local', 'loopback'))
  assert.ok(mayReach('link-local', 'link-local'))
})

test('a name is as deep as what it resolves to', async () => {
  assert.equal(await findReach('localhost'), 'loopback')
  assert.equal(await findReach('no-such-host.invalid'), 'public')
})

test('a look-up within a limit does not give away addresses beyond it', async () => {
  const look = (limit: 'public' | 'loopback', all: boolean): Promise<unknown> =>
    new Promise((resolve, reject) => {
      lookupWithin(limit)('localhost', { all }, (error, address) =>
        error ? reject(error) : resolve(address),
      )
    })
  await assert.rejects(look('public', true), AddressRefused)
  await assert.rejects(look('public', false), AddressRefused)
  assert.match(String(await look('loopback', false)), /^(?:127\.0\.0\.1|::1)$/)
  assert.ok(Array.isArray(await look('loopback', true)))
})

const byte = fc.integer({ min: 0, max: 255 })
const ipv4 = fc.oneof(
  fc.tuple(byte, byte, byte, byte).map((bytes) => bytes.join('.')),
  fc.constantFrom(...REACHES.map(([host]) => host).filter((host) => isIP(host) === 4)),
)

function hexOf(ip: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = ip.split('.').map(Number)
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
}

const HIDDEN: Readonly<Record<string, (ip: string) => string>> = {
  mapped: (ip) => `::ffff:${ip}`,
  'mapped, in hexadecimal': (ip) => `::ffff:${hexOf(ip)}`,
  'written out': (ip) => `0000:0:0:0:0:FFFF:${hexOf(ip)}`,
  compatible: (ip) => `::${hexOf(ip)}`,
  translated: (ip) => `::ffff:0:${ip}`,
  NAT64: (ip) => `64:ff9b::${ip}`,
  'local NAT64': (ip) => `64:ff9b:1::${ip}`,
  '6to4': (ip) => `2002:${hexOf(ip)}::1`,
}

for (const [how, hide] of Object.entries(HIDDEN)) {
  test(`an IPv4 address in an IPv6 address (${how}) lies where it lies by itself`, () => {
    fc.assert(
      fc.property(ipv4, (ip) => {
        const hidden = hide(ip)
        const reach = reachOfHostname(ip)
        assert.equal(reachOfHostname(hidden), reach)
        assert.equal(reachOfHostname(`[${hidden}]`), reach)
        assert.equal(reachOfHostname(new URL(`http://[${hidden}]/`).hostname), reach)
      }),
    )
  })
}

test('however an IPv4 address is written in a URL, it lies where it lies', () => {
  fc.assert(
    fc.property(ipv4, fc.constantFrom(8, 10, 16), fc.constantFrom('', '.'), (ip, radix, dot) => {
      const write = (part: number): string => `${{ 8: '0', 10: '', 16: '0x' }[radix]}${part.toString(radix)}`
      const parts = ip.split('.').map(Number)
      const whole = parts.reduce((sum, part) => sum * 256 + part, 0)
      for (const text of [parts.map(write).join('.'), write(whole)]) {
        assert.equal(reachOfHostname(new URL(`http://${text}${dot}/`).hostname), reachOfHostname(ip), text)
      }
    }),
  )
})

test('no address of any kind is without a place', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (ip) => {
      assert.notEqual(reachOfHostname(ip), undefined)
    }),
  )
})

test('a registry that is not listed may be a name in the private network, or a public address', () => {
  const refused = (hostname: string): boolean => {
    try {
      checkHostname(hostname, reachUnlisted(hostname))
      return false
    } catch (error) {
      assert.ok(error instanceof AddressRefused)
      return true
    }
  }
  for (const [host, reach] of REACHES) {
    assert.equal(refused(host), reach !== undefined && reach !== 'public', host)
  }
  assert.equal(reachUnlisted('registry.example.com'), 'private')
})

test('a registry may send as far inside as it lies, and no further than its limit', async () => {
  const table: readonly [where: string, limit: Reach, expected: Reach][] = [
    ['2600::1', 'link-local', 'public'],
    ['10.0.0.1', 'link-local', 'special'],
    ['10.0.0.1', 'private', 'private'],
    ['127.0.0.1', 'link-local', 'loopback'],
    ['127.0.0.1', 'private', 'private'],
    ['127.0.0.1', 'public', 'public'],
    ['169.254.1.1', 'private', 'private'],
  ]
  for (const [where, limit, expected] of table) assert.equal(await reachFrom(where, limit), expected, where)
})

test('each look-up is judged anew', async () => {
  const answers = ['93.184.216.34', '127.0.0.1']
  const look = lookupWithin('private', (_hostname, _options, callback) => {
    callback(null, [{ address: answers.shift() ?? '', family: 4 }])
  })
  const resolve = (): Promise<unknown> =>
    new Promise((done, failed) => {
      look('rebound.example', {}, (error, address) => (error ? failed(error) : done(address)))
    })
  assert.equal(await resolve(), '93.184.216.34')
  await assert.rejects(resolve(), AddressRefused)
})
