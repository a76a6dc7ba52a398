import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FairShare, type Holder } from '../../../src/registry-api/connections/fair-share.ts'

const LIMITS = { total: 8, perConnection: 3, perAddress: 4, reservedForLocal: 2 }
const ADDRESSES = ['127.0.0.1', '10.0.0.1', '10.0.0.2', '10.0.0.3']
const CONNECTIONS = ADDRESSES.map(() => [{}, {}, {}])

const anyHolder = fc.tuple(fc.nat(3), fc.nat(2)).map(([at, connection]): Holder => {
  const address = ADDRESSES[at] ?? ''
  return { client: { address, isLocal: at === 0 }, connection: CONNECTIONS[at]?.[connection] ?? {} }
})

test('no limit is ever exceeded, and everything that was taken can be released', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(anyHolder, fc.boolean()), { maxLength: 100 }), (steps) => {
      const share = new FairShare(LIMITS)
      const held: Holder[] = []
      for (const [holder, isRelease] of steps) {
        if (isRelease) {
          const released = held.shift()
          if (released !== undefined) share.release(released)
        } else if (share.mayTake(holder)) {
          share.take(holder)
          held.push(holder)
        }
        const count = (matches: (one: Holder) => boolean) => held.filter(matches).length
        assert.equal(share.held, held.length)
        assert.ok(held.length <= LIMITS.total)
        assert.ok(count(({ client }) => !client.isLocal) <= LIMITS.total - LIMITS.reservedForLocal)
        for (const { client, connection } of held) {
          assert.ok(count((one) => one.connection === connection) <= LIMITS.perConnection)
          if (!client.isLocal)
            assert.ok(count((one) => one.client.address === client.address) <= LIMITS.perAddress)
        }
      }
      for (const holder of held) share.release(holder)
      assert.equal(share.held, 0)
    }),
  )
})

test('the share of a local client is counted by connection, that of a remote client by address', () => {
  const share = new FairShare(LIMITS)
  const local = (connection: object): Holder => ({
    client: { address: '127.0.0.1', isLocal: true },
    connection,
  })
  const remote = (connection: object): Holder => ({
    client: { address: '10.0.0.1', isLocal: false },
    connection,
  })
  const [one, other, third, fourth] = [{}, {}, {}, {}]
  const holders = [local(one), local(one), local(other), remote(third), remote(fourth)]
  for (const holder of holders) share.take(holder)
  assert.equal(share.shareOf(local(one)), 2)
  assert.equal(share.shareOf(local(other)), 1)
  assert.equal(share.shareOf(remote(third)), 2)
})
