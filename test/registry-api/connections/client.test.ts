import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientOf } from '../../../src/registry-api/connections/client.ts'
import { fc } from '../../../testkit/property-runs.ts'

test('a client is local when its address is a loopback address', () => {
  for (const address of [
    '127.0.0.1',
    '127.255.255.254',
    '127.1.2.3',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:127.9.9.9',
  ]) {
    assert.deepEqual(clientOf(address), { address, isLocal: true })
  }
  for (const address of [
    '10.0.0.1',
    '128.0.0.1',
    '12.7.0.1',
    '1.127.0.0',
    '0.0.0.0',
    '::',
    '::2',
    '::10',
    '1::1',
    '::127.0.0.1',
    '::ffff:10.0.0.1',
    '::ffff:1.127.0.1',
    '::fffe:127.0.0.1',
    'fe80::1',
    'localhost',
    '',
  ]) {
    assert.deepEqual(clientOf(address), { address, isLocal: false })
  }
  assert.deepEqual(clientOf(undefined), { address: '', isLocal: false })
})

test('of all IPv4 addresses only those in 127.0.0.0/8 are local', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.ipV4(),
        fc.ipV4().map((text) => text.replace(/^\d+/, '127')),
      ),
      (address) => {
        const isLocal = address.split('.')[0] === '127'
        assert.equal(clientOf(address).isLocal, isLocal)
        assert.equal(clientOf(`::ffff:${address}`).isLocal, isLocal)
      },
    ),
  )
})
