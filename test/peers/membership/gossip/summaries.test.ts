import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Heartbeat } from '../../../../src/peers/identity/signed-record.ts'
import { compareWithSummary, summariesOf } from '../../../../src/peers/membership/gossip/summaries.ts'
import { MemberList } from '../../../../src/peers/membership/members/member-list.ts'
import { memberOf, recordOf } from '../../../../testkit/simulation/gossip/named-members.ts'

const [self, sender] = [memberOf('self', 1), memberOf('sender', 1)]
const [ann, bob, cyd] = [memberOf('ann', 10), memberOf('bob', 10), memberOf('cyd', 10)]
const [dan, eve] = [memberOf('dan', 10), memberOf('eve', 10)]

const heartbeatOf = ({ id, incarnation }: typeof ann, sequence: number): Heartbeat => ({
  id,
  incarnation,
  sequence,
})

test('the summaries of many members cover all ids, and each fits into a message', () => {
  const heartbeats = Array.from({ length: 700 }, (_, at) => heartbeatOf(memberOf(`node-${at}`, 1), 0))
  const summaries = summariesOf(heartbeats)
  assert.deepEqual(
    summaries.map((summary) => summary.heartbeats.length),
    [300, 300, 100],
  )
  assert.equal(summaries[0]?.from, '')
  assert.ok((summaries[2]?.to ?? '') > 'ffff')
  for (const at of [1, 2]) assert.equal(summaries[at]?.from, summaries[at - 1]?.to)
  for (const { from, to, heartbeats } of summaries) {
    assert.ok(heartbeats.every(({ id }) => id >= from && id < to))
  }
})

test('a summary is compared with the member list: what the sender lacks, what this node lacks, and who has departed', () => {
  const members = new MemberList(() => true)
  for (const member of [sender, ann, bob, dan, eve]) members.addRecord(recordOf(member.name, member, 5), 0)
  members.suspect(heartbeatOf(dan, 5), 0)
  members.expire(60_000)
  members.addGoodbye(recordOf('eve', eve, 5).heartbeat, 60_000)
  const theirs = [heartbeatOf(self, 9), heartbeatOf(sender, 6), heartbeatOf(bob, 4), heartbeatOf(cyd, 1)]
  const departed = [heartbeatOf(dan, 5), heartbeatOf(eve, 5)]
  const summary = { from: '', to: 'g', heartbeats: [...theirs, ...departed] }
  const difference = compareWithSummary(summary, members, { self: self.id, sender: sender.id })
  assert.deepEqual(difference.missing, [ann.id])
  assert.deepEqual(difference.wanted, [cyd.id])
  assert.deepEqual(
    [difference.heartbeats, difference.suspects, difference.goodbyes].map((list) => list.map(({ id }) => id)),
    [[bob.id], [dan.id], [eve.id]],
  )
})
