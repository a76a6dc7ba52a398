import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Owners } from '../../../src/peers/client/owners.ts'
import { type Member, PEER_PROTOCOL, parseMemberId } from '../../../src/peers/identity/member.ts'
import { SharedMembership } from '../support/shared-membership.ts'

function member(n: number, protocol = PEER_PROTOCOL): Member {
  return {
    id: parseMemberId(n.toString(16).padStart(32, '0')) ?? assert.fail('the id is valid'),
    incarnation: 1,
    name: `member-${n}`,
    host: '127.0.0.1',
    port: n + 1,
    fingerprint: n.toString(16).padStart(64, '0'),
    zone: undefined,
    version: 'test',
    protocol,
  }
}

const names = (members: readonly Member[]): string[] => members.map(({ name }) => name)

test('a node without peers owns every key', () => {
  const owners = new Owners(new SharedMembership().of(member(0)))
  assert.equal(owners.hasPeers, false)
  assert.deepEqual(names(owners.first('key', 3)), ['member-0'])
  assert.deepEqual(owners.firstPeers('key', 3), [])
})

test('all members rank the owners of a key alike, and a member that has left is no owner', () => {
  const membership = new SharedMembership()
  const members = [0, 1, 2, 3].map((n) => member(n))
  for (const each of members) membership.set(each)
  const [one, other] = members.slice(0, 2).map((each) => new Owners(membership.of(each))) as [Owners, Owners]
  const ranked = names(one.first('key', 4))
  assert.deepEqual([...ranked].sort(), ['member-0', 'member-1', 'member-2', 'member-3'])
  assert.deepEqual(names(other.first('key', 4)), ranked)
  const owner = one.first('key', 1)[0] ?? assert.fail('the key has an owner')
  membership.remove(owner.id)
  membership.notify()
  const remaining = [one, other].find(({ self }) => self.id !== owner.id)
  const after = ranked.slice(1)
  assert.deepEqual(names(remaining?.first('key', 3) ?? []), after)
})

test('the peers of a key are its owners without this node', () => {
  const membership = new SharedMembership()
  const members = [0, 1, 2, 3].map((n) => member(n))
  for (const each of members) membership.set(each)
  const owners = new Owners(membership.of(members[0] ?? assert.fail()))
  const expected = names(owners.first('key', 4)).filter((name) => name !== 'member-0')
  assert.deepEqual(names(owners.firstPeers('key', 3)), expected)
  assert.deepEqual(names(owners.firstPeers('key', 1)), expected.slice(0, 1))
})

test('a member that speaks another protocol is no owner', () => {
  const membership = new SharedMembership()
  membership.set(member(1, PEER_PROTOCOL + 1))
  const owners = new Owners(membership.of(member(0)))
  assert.equal(owners.hasPeers, false)
  for (let n = 0; n < 20; n += 1) assert.deepEqual(names(owners.first(`key-${n}`, 2)), ['member-0'])
})
