import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FairShare, type ShareUser } from '../../../src/registry-api/connections/fair-share.ts'
import { fc } from '../../../testkit/property-runs.ts'

const LIMITS = { total: 8, perConnection: 3, perAddress: 4, reservedForLocal: 2 }
const ADDRESSES = ['127.0.0.1', '10.0.0.1', '10.0.0.2', '10.0.0.3']
const CONNECTIONS = ADDRESSES.map(() => [{}, {}, {}])

const anyUser = fc.tuple(fc.nat(3), fc.nat(2)).map(([at, connection]): ShareUser => {
  const address = ADDRESSES[at] ?? ''
  return { client: { address, isLocal: at === 0 }, connection: CONNECTIONS[at]?.[connection] ?? {} }
})

test('no limit is ever exceeded, and everything that was taken can be released', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(anyUser, fc.boolean()), { maxLength: 100 }), (steps) => {
      const share = new FairShare(LIMITS)
      const taken: ShareUser[] = []
      for (const [user, isRelease] of steps) {
        if (isRelease) {
          const released = taken.shift()
          if (released !== undefined) share.release(released)
        } else if (share.mayTake(user)) {
          share.take(user)
          taken.push(user)
        }
        const count = (matches: (one: ShareUser) => boolean) => taken.filter(matches).length
        assert.equal(share.taken, taken.length)
        assert.ok(taken.length <= LIMITS.total)
        assert.ok(count(({ client }) => !client.isLocal) <= LIMITS.total - LIMITS.reservedForLocal)
        for (const { client, connection } of taken) {
          assert.ok(count((one) => one.connection === connection) <= LIMITS.perConnection)
          if (!client.isLocal)
            assert.ok(count((one) => one.client.address === client.address) <= LIMITS.perAddress)
        }
      }
      for (const user of taken) share.release(user)
      assert.equal(share.taken, 0)
    }),
  )
})

test('the share of a local client is counted by connection, that of a remote client by address', () => {
  const share = new FairShare(LIMITS)
  const local = (connection: object): ShareUser => ({
    client: { address: '127.0.0.1', isLocal: true },
    connection,
  })
  const remote = (connection: object): ShareUser => ({
    client: { address: '10.0.0.1', isLocal: false },
    connection,
  })
  const [one, other, third, fourth] = [{}, {}, {}, {}]
  const users = [local(one), local(one), local(other), remote(third), remote(fourth)]
  for (const user of users) share.take(user)
  assert.equal(share.shareOf(local(one)), 2)
  assert.equal(share.shareOf(local(other)), 1)
  assert.equal(share.shareOf(remote(third)), 2)
})
