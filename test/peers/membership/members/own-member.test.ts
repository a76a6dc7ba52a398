import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type HeartbeatKind,
  MAX_INCARNATION,
  type SignedHeartbeat,
  Signer,
  verifySignature,
} from '../../../../src/peers/identity/signed-record.ts'
import { OwnMember } from '../../../../src/peers/membership/members/own-member.ts'
import { identityNamed, memberOf, recordOf } from '../../../../testkit/simulation/gossip/named-members.ts'

const INTERVAL_MS = 10_000
const ann = memberOf('ann', 1000)

/** An agent whose heartbeat interval varies by nothing. */
function ownMember(): OwnMember {
  const identity = identityNamed('ann')
  const own = new OwnMember(ann, { identity, now: 0, random: () => 0.5, verifies: verifySignature })
  assert.equal(own.renewHeartbeat(INTERVAL_MS, INTERVAL_MS), 'interval')
  return own
}

function heartbeatOf(
  incarnation: number,
  { signer = 'ann', kind = 'alive' as HeartbeatKind } = {},
): SignedHeartbeat {
  return new Signer(identityNamed(signer)).signHeartbeat(kind, { id: ann.id, incarnation, sequence: 0 })
}

test('a heartbeat is renewed when the interval is over', () => {
  const own = ownMember()
  assert.equal(own.heartbeat.sequence, 1)
  assert.equal(own.renewHeartbeat(2 * INTERVAL_MS - 1, INTERVAL_MS), undefined)
  assert.equal(own.renewHeartbeat(2 * INTERVAL_MS, INTERVAL_MS), 'interval')
  assert.equal(own.heartbeat.sequence, 2)
})

test('a suspect is refuted by a later heartbeat, but no more often than once a second', () => {
  const own = ownMember()
  const now = INTERVAL_MS
  own.receiveSuspect(own.heartbeat)
  assert.equal(own.renewHeartbeat(now + 999, INTERVAL_MS), undefined)
  assert.equal(own.renewHeartbeat(now + 1000, INTERVAL_MS), 'refutation')
  own.receiveSuspect({ ...own.heartbeat, sequence: own.heartbeat.sequence - 1 })
  assert.equal(own.renewHeartbeat(now + 5000, INTERVAL_MS), undefined, 'a later heartbeat is known')
})

test('an agent begins an incarnation that is later than one it does not remember', () => {
  const own = ownMember()
  const { record } = recordOf('ann', { ...ann, incarnation: 2000 })
  assert.equal(own.receiveRecord(record, 0), 'new-incarnation')
  assert.equal(own.member.incarnation, 2001)
  assert.equal(own.recordWithHeartbeat.record.member.incarnation, 2001)
  assert.equal(own.receiveHeartbeat('alive', heartbeatOf(3000), 4999), 'known')
  assert.equal(
    own.receiveHeartbeat('goodbye', heartbeatOf(3000, { kind: 'goodbye' }), 5000),
    'new-incarnation',
  )
  assert.equal(own.member.incarnation, 3001)
})

test('an incarnation that the agent has not signed, or the highest one, begins no new incarnation', () => {
  const own = ownMember()
  assert.equal(own.receiveHeartbeat('alive', heartbeatOf(2000, { signer: 'bob' }), 0), 'forged')
  assert.equal(own.receiveHeartbeat('goodbye', heartbeatOf(2000), 0), 'forged', 'it is no goodbye')
  assert.equal(own.receiveHeartbeat('alive', heartbeatOf(MAX_INCARNATION), 0), 'known')
  assert.equal(own.member.incarnation, 1000)
})
