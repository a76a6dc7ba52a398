import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Member, MemberId } from '../../../src/peers/identity/member.ts'
import {
  type HeartbeatKind,
  type SignedHeartbeat,
  Signer,
} from '../../../src/peers/identity/signed-record.ts'
import type { Account } from '../../../src/peers/membership/gossip-messages.ts'
import { type Heard, Members } from '../../../src/peers/membership/members.ts'
import { accountOf, identityNamed, memberOf } from '../../../testkit/simulation/gossip-simulation.ts'

const LIFE = 1000
const ann = memberOf('ann', LIFE)

const signer = new Signer(identityNamed('ann'))

function heartbeatOf(
  sequence: number,
  incarnation = LIFE,
  { load, kind = 'alive' }: { load?: number; kind?: HeartbeatKind } = {},
): SignedHeartbeat {
  return signer.signHeartbeat(kind, {
    id: ann.id,
    incarnation,
    sequence,
    ...(load !== undefined && { load }),
  })
}

function goodbyeOf(sequence: number, incarnation = LIFE): SignedHeartbeat {
  return heartbeatOf(sequence, incarnation, { kind: 'goodbye' })
}

function hears(members: Members, { record, sign }: Account, now: number): Heard {
  return members.hear(record, sign, now)
}

function hear(members: Members, member: Member, sequence: number, now: number): Heard {
  return hears(members, accountOf(member.name, member, sequence), now)
}

/** With ann in it, at sequence 5. */
function table(): Members {
  const members = new Members()
  assert.equal(hear(members, ann, 5, 0), 'member')
  return members
}

test('of two signs of incarnation the later one counts, and a later incarnation counts more than any sequence', () => {
  const members = table()
  assert.equal(hear(members, ann, 5, 1), 'known')
  assert.equal(members.hearSign(heartbeatOf(4), 1), 'known')
  assert.equal(members.hearSign(heartbeatOf(6), 1), 'alive')
  assert.equal(members.hearSign(heartbeatOf(0, LIFE + 1), 2), 'unknown')
  assert.equal(hear(members, { ...memberOf('ann', LIFE + 1), port: 6 }, 0, 2), 'member')
  assert.equal(members.get(ann.id)?.port, 6)
  assert.equal(hear(members, ann, 99, 3), 'known')
  assert.equal(members.get(ann.id)?.port, 6)
})

test('who is doubted stays for some seconds, and longer only with a later sign of incarnation', () => {
  const members = table()
  assert.ok(members.doubt(heartbeatOf(5), 0))
  assert.ok(!members.doubt(heartbeatOf(5), 1), 'it is no news the second time')
  assert.equal(members.hearSign(heartbeatOf(5), 100), 'known')
  assert.ok(!members.expire(4999))
  assert.equal(members.hearSign(heartbeatOf(6), 4999), 'refuted')
  assert.ok(!members.expire(60_000))
  assert.ok(!members.doubt(heartbeatOf(5), 60_000), 'a doubt that is older than the sign')
  assert.ok(members.doubt(heartbeatOf(6), 60_000))
  assert.ok(members.expire(65_000))
  assert.equal(members.get(ann.id), undefined)
  assert.equal(hear(members, ann, 6, 65_000), 'outdated')
  assert.equal(hear(members, ann, 7, 65_000), 'member')
})

test('who said goodbye is gone at once and not brought back by what was said before', () => {
  const members = table()
  assert.equal(members.leave(goodbyeOf(5), 0), 'left')
  assert.equal(members.leave(goodbyeOf(5), 1), 'known')
  assert.equal(members.get(ann.id), undefined)
  assert.equal(hear(members, ann, 5, 1), 'outdated')
  assert.equal(members.hearSign(heartbeatOf(4), 1), 'outdated')
  members.forgetSilent()
  assert.equal(hear(members, ann, 5, 100_000), 'outdated')
  const again = memberOf('ann', LIFE + 1)
  assert.equal(hear(members, again, 0, 100_000), 'member')
  assert.equal(members.leave(goodbyeOf(9), 100_000), 'known', 'a goodbye of the incarnation before')
  assert.deepEqual(members.get(ann.id), again)
})

test('who has a link is not doubted on hearsay; when the link breaks and is not made anew, it is', () => {
  const members = table()
  members.link(ann.id)
  assert.ok(!members.doubt(heartbeatOf(5), 0))
  assert.deepEqual(members.doubtful(1_000_000, 0), [])
  members.unlink(ann.id, 1_000_000)
  assert.deepEqual(members.doubtful(1_000_999, 60_000), [])
  members.link(ann.id)
  assert.deepEqual(members.doubtful(1_002_000, 60_000), [])
  members.unlink(ann.id, 1_003_000)
  assert.deepEqual(members.doubtful(1_004_000, 60_000), [heartbeatOf(5)])
  assert.deepEqual(members.doubtful(1_005_000, 60_000), [], 'once is enough')
})

test('how much a member gives is what it said last, and an earlier sign does not change it', () => {
  const members = table()
  assert.equal(members.hearSign(heartbeatOf(7, LIFE, { load: 8 }), 1), 'alive')
  assert.equal(members.get(ann.id)?.load, 8)
  assert.deepEqual(members.sign(ann.id), heartbeatOf(7, LIFE, { load: 8 }))
  members.hearSign(heartbeatOf(6, LIFE, { load: 32 }), 2)
  assert.equal(members.get(ann.id)?.load, 8)
  const known = members.digest
  members.hearSign(heartbeatOf(8), 3)
  assert.equal(members.get(ann.id)?.load, 0)
  assert.deepEqual(members.digest, known, 'two tables that differ in nothing else hold the same lives')
})

test('who is not heard of in any way is doubted after a while', () => {
  const members = table()
  members.hearSign(heartbeatOf(6), 10_000)
  assert.deepEqual(members.doubtful(24_999, 15_000), [])
  assert.deepEqual(members.doubtful(25_000, 15_000), [heartbeatOf(6)])
})

test('two tables that hold the same lives have the same digest, in whichever order they came', () => {
  const [bob, again] = [memberOf('bob', LIFE), memberOf('ann', LIFE + 1)]
  const [one, two] = [table(), new Members()]
  hear(one, bob, 1, 0)
  hear(two, bob, 7, 0)
  assert.notDeepEqual(one.digest, two.digest)
  hear(two, ann, 9, 0)
  assert.deepEqual(one.digest, two.digest)
  hear(one, again, 0, 0)
  assert.notDeepEqual(one.digest, two.digest)
  one.leave(goodbyeOf(0, LIFE + 1), 0)
  two.leave(goodbyeOf(9), 0)
  assert.deepEqual(one.digest, two.digest)
})

/** As many as there is room for, by one who can sign for all of them. */
function full(): Members {
  const members = new Members(() => true)
  for (let at = 0; at < 10_000; at += 1) assert.equal(hears(members, madeUp(at), 0), 'member')
  return members
}

function madeUp(at: number, incarnation = LIFE): Account {
  const id = at.toString(16).padStart(32, '0') as MemberId
  const { record, sign } = madeUpOnce
  return {
    record: { ...record, member: { ...record.member, id, incarnation } },
    sign: { ...sign, id, incarnation },
  }
}

const madeUpOnce = accountOf('ann', ann)

test('however many members are made up, there is room for one that speaks for itself', () => {
  const members = full()
  const { record, sign } = accountOf('ann', ann)
  assert.equal(members.hear(record, sign, 0), 'full')
  assert.equal(members.hear(record, sign, 0, { isDirect: true }), 'member')
  members.link(ann.id)
  const bob = accountOf('bob', memberOf('bob', LIFE))
  assert.equal(members.hear(bob.record, bob.sign, 0, { isDirect: true }), 'member')
  assert.ok(members.get(ann.id), 'whom it is linked to does not give way')
  assert.equal(members.size, 10_000)
})

test('no more than ten thousand are kept, those that have gone included', () => {
  const members = full()
  assert.equal(hear(members, ann, 0, 0), 'full')
  const again = madeUp(0, LIFE + 1)
  assert.equal(hears(members, again, 0), 'member')
  assert.equal(members.leave(again.sign, 0), 'left')
  assert.equal(hear(members, ann, 0, 0), 'full')
  members.expire(120_000)
  assert.equal(hear(members, ann, 0, 120_000), 'member')
})
