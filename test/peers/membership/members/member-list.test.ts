import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Member, MemberId } from '../../../../src/peers/identity/member.ts'
import type { RecordWithHeartbeat } from '../../../../src/peers/identity/signed-record.ts'
import {
  type HeartbeatKind,
  type SignedHeartbeat,
  Signer,
} from '../../../../src/peers/identity/signed-record.ts'
import { MemberList, type UpdateOutcome } from '../../../../src/peers/membership/members/member-list.ts'
import { identityNamed, memberOf, recordOf } from '../../../../testkit/simulation/gossip/named-members.ts'

const INCARNATION = 1000
const ann = memberOf('ann', INCARNATION)

const signer = new Signer(identityNamed('ann'))

function heartbeatOf(
  sequence: number,
  incarnation = INCARNATION,
  { kind = 'alive' }: { kind?: HeartbeatKind } = {},
): SignedHeartbeat {
  return signer.signHeartbeat(kind, { id: ann.id, incarnation, sequence })
}

function goodbyeOf(sequence: number, incarnation = INCARNATION): SignedHeartbeat {
  return heartbeatOf(sequence, incarnation, { kind: 'goodbye' })
}

function addMember(members: MemberList, member: Member, sequence: number, now: number): UpdateOutcome {
  return members.addRecord(recordOf(member.name, member, sequence), now)
}

/** A list that contains ann with a heartbeat of sequence 5. */
function listWithAnn(): MemberList {
  const members = new MemberList()
  assert.equal(addMember(members, ann, 5, 0), 'new-incarnation')
  return members
}

test('a later heartbeat replaces an earlier one, and a later incarnation any heartbeat of an earlier one', () => {
  const members = listWithAnn()
  assert.equal(addMember(members, ann, 5, 1), 'known')
  assert.equal(members.addHeartbeat(heartbeatOf(4), 1), 'known')
  assert.equal(members.addHeartbeat(heartbeatOf(6), 1), 'later')
  assert.equal(members.addHeartbeat(heartbeatOf(0, INCARNATION + 1), 2), 'unknown')
  assert.equal(addMember(members, { ...memberOf('ann', INCARNATION + 1), port: 6 }, 0, 2), 'new-incarnation')
  assert.equal(members.get(ann.id)?.port, 6)
  assert.equal(addMember(members, ann, 99, 3), 'known')
  assert.equal(members.get(ann.id)?.port, 6)
})

test('a suspected member is removed after five seconds unless a later heartbeat arrives', () => {
  const members = listWithAnn()
  assert.ok(members.suspect(heartbeatOf(5), 0))
  assert.ok(!members.suspect(heartbeatOf(5), 1), 'the member is suspected already')
  assert.equal(members.addHeartbeat(heartbeatOf(5), 100), 'known')
  members.expire(4999)
  assert.equal(members.addHeartbeat(heartbeatOf(6), 4999), 'refuted')
  members.expire(60_000)
  assert.ok(members.get(ann.id))
  assert.ok(!members.suspect(heartbeatOf(5), 60_000), 'a later heartbeat is known')
  assert.ok(members.suspect(heartbeatOf(6), 60_000))
  const { version } = members
  members.expire(65_000)
  assert.notEqual(members.version, version)
  assert.equal(members.get(ann.id), undefined)
  assert.equal(addMember(members, ann, 6, 65_000), 'outdated')
  assert.equal(addMember(members, ann, 7, 65_000), 'new-incarnation')
})

test('a member that says goodbye is removed at once, and earlier records and heartbeats do not bring it back', () => {
  const members = listWithAnn()
  assert.equal(members.addGoodbye(goodbyeOf(5), 0), 'left')
  assert.equal(members.addGoodbye(goodbyeOf(5), 1), 'known')
  assert.equal(members.get(ann.id), undefined)
  assert.equal(addMember(members, ann, 5, 1), 'outdated')
  assert.equal(members.addHeartbeat(heartbeatOf(4), 1), 'outdated')
  members.forgetSilent()
  assert.equal(addMember(members, ann, 5, 100_000), 'outdated')
  const again = memberOf('ann', INCARNATION + 1)
  assert.equal(addMember(members, again, 0, 100_000), 'new-incarnation')
  assert.equal(
    members.addGoodbye(goodbyeOf(9), 100_000),
    'known',
    'the goodbye belongs to the earlier incarnation',
  )
  assert.deepEqual(members.get(ann.id), again)
})

test('a member with a link is not suspected; it is when the link breaks and is not replaced', () => {
  const members = listWithAnn()
  members.link(ann.id)
  assert.ok(!members.suspect(heartbeatOf(5), 0))
  assert.deepEqual(members.takeSilent(1_000_000, 0), [])
  members.unlink(ann.id, 1_000_000)
  assert.deepEqual(members.takeSilent(1_000_999, 60_000), [])
  members.link(ann.id)
  assert.deepEqual(members.takeSilent(1_002_000, 60_000), [])
  members.unlink(ann.id, 1_003_000)
  assert.deepEqual(members.takeSilent(1_004_000, 60_000), [heartbeatOf(5)])
  assert.deepEqual(members.takeSilent(1_005_000, 60_000), [], 'each broken link is reported once')
})

test('a member of which nothing is heard becomes silent after the given time', () => {
  const members = listWithAnn()
  members.addHeartbeat(heartbeatOf(6), 10_000)
  assert.deepEqual(members.takeSilent(24_999, 15_000), [])
  assert.deepEqual(members.takeSilent(25_000, 15_000), [heartbeatOf(6)])
})

test('lists with the same members in the same incarnations have the same checksum, in whichever order they were added', () => {
  const [bob, again] = [memberOf('bob', INCARNATION), memberOf('ann', INCARNATION + 1)]
  const [one, two] = [listWithAnn(), new MemberList()]
  addMember(one, bob, 1, 0)
  addMember(two, bob, 7, 0)
  assert.notDeepEqual(one.checksum, two.checksum)
  addMember(two, ann, 9, 0)
  assert.deepEqual(one.checksum, two.checksum)
  addMember(one, again, 0, 0)
  assert.notDeepEqual(one.checksum, two.checksum)
  one.addGoodbye(goodbyeOf(0, INCARNATION + 1), 0)
  two.addGoodbye(goodbyeOf(9), 0)
  assert.deepEqual(one.checksum, two.checksum)
})

/** A full list, which accepts all signatures. */
function fullList(): MemberList {
  const members = new MemberList(() => true)
  for (let at = 0; at < 10_000; at += 1)
    assert.equal(members.addRecord(madeUpRecord(at), 0), 'new-incarnation')
  return members
}

function madeUpRecord(at: number, incarnation = INCARNATION): RecordWithHeartbeat {
  const id = at.toString(16).padStart(32, '0') as MemberId
  const { record, heartbeat } = TEMPLATE
  return {
    record: { ...record, member: { ...record.member, id, incarnation } },
    heartbeat: { ...heartbeat, id, incarnation },
  }
}

const TEMPLATE = recordOf('ann', ann)

test('a full list has room for a member that sends its own record over a link', () => {
  const members = fullList()
  const record = recordOf('ann', ann)
  assert.equal(members.addRecord(record, 0), 'full')
  assert.equal(members.addRecord(record, 0, { isDirect: true }), 'new-incarnation')
  members.link(ann.id)
  const bob = recordOf('bob', memberOf('bob', INCARNATION))
  assert.equal(members.addRecord(bob, 0, { isDirect: true }), 'new-incarnation')
  assert.ok(members.get(ann.id), 'a member with a link is not removed to make room')
  assert.equal(members.size, 10_000)
})

test('the list contains ten thousand members at most, including departed ones', () => {
  const members = fullList()
  assert.equal(addMember(members, ann, 0, 0), 'full')
  const again = madeUpRecord(0, INCARNATION + 1)
  assert.equal(members.addRecord(again, 0), 'new-incarnation')
  assert.equal(members.addGoodbye(again.heartbeat, 0), 'left')
  assert.equal(addMember(members, ann, 0, 0), 'full')
  members.expire(120_000)
  assert.equal(addMember(members, ann, 0, 120_000), 'new-incarnation')
})
