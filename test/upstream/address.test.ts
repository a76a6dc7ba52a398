import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  AddressRefused,
  findReach,
  lookupWithin,
  mayReach,
  reachOfHostname,
} from '../../src/upstream/address.ts'

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
  ['255.255.255.255', 'private'],
  ['127.0.0.1', 'loopback'],
  ['127.9.9.9', 'loopback'],
  ['0.0.0.0', 'loopback'],
  ['::1', 'loopback'],
  ['::', 'loopback'],
  ['localhost', 'loopback'],
  ['a.localhost', 'loopback'],
  ['localhost.', 'loopback'],
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
  for (const disguise of ['2130706433', '0x7f.1', '0177.0.0.1']) {
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
