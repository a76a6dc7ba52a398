import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AddressScope } from '../../../src/upstream/options/address-scope.ts'
import {
  AddressRefusedError,
  checkHostname,
  lookupWithin,
  resolveScope,
  scopeLimitForTargets,
} from '../../../src/upstream/options/scoped-lookup.ts'

test('the scope of a name is the scope of what it resolves to', async () => {
  assert.equal(await resolveScope('localhost'), 'loopback')
  assert.equal(await resolveScope('no-such-host.invalid'), 'public')
})

test('a look-up with a limit gives no address beyond the limit', async () => {
  const look = (limit: 'public' | 'loopback', all: boolean): Promise<unknown> =>
    new Promise((resolve, reject) => {
      lookupWithin(limit)('localhost', { all }, (error, address) =>
        error ? reject(error) : resolve(address),
      )
    })
  await assert.rejects(look('public', true), AddressRefusedError)
  await assert.rejects(look('public', false), AddressRefusedError)
  assert.match(String(await look('loopback', false)), /^(?:127\.0\.0\.1|::1)$/)
  assert.ok(Array.isArray(await look('loopback', true)))
})

test('a literal address beyond the limit is refused by its name alone', () => {
  assert.throws(() => checkHostname('10.0.0.1', 'public'), AddressRefusedError)
  checkHostname('10.0.0.1', 'private')
  checkHostname('registry.example.com', 'public')
})

test('a registry may send the agent as far inside as it lies itself, and never beyond the limit', async () => {
  const table: readonly [where: string, limit: AddressScope, expected: AddressScope][] = [
    ['2600::1', 'link-local', 'public'],
    ['10.0.0.1', 'link-local', 'special'],
    ['10.0.0.1', 'private', 'private'],
    ['127.0.0.1', 'link-local', 'loopback'],
    ['127.0.0.1', 'private', 'private'],
    ['127.0.0.1', 'public', 'public'],
    ['169.254.1.1', 'private', 'private'],
  ]
  for (const [where, limit, expected] of table)
    assert.equal(await scopeLimitForTargets(where, limit), expected, where)
})

test('every look-up is checked, also when the same name resolves to another address', async () => {
  const answers = ['93.184.216.34', '127.0.0.1']
  const look = lookupWithin('private', (_hostname, _options, callback) => {
    callback(null, [{ address: answers.shift() ?? '', family: 4 }])
  })
  const resolve = (): Promise<unknown> =>
    new Promise((done, failed) => {
      look('rebound.example', {}, (error, address) => (error ? failed(error) : done(address)))
    })
  assert.equal(await resolve(), '93.184.216.34')
  await assert.rejects(resolve(), AddressRefusedError)
})
