import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EMPTY_MESSAGE } from '../../../../src/peers/membership/gossip/gossip-messages.ts'
import {
  MAX_NOTICES_PER_MESSAGE,
  NoticeStore,
  type PseudonymousNotice,
} from '../../../../src/peers/membership/gossip/rate-limit-notices.ts'
import { startSwarm } from '../../../../testkit/simulation/gossip/gossip-simulation.ts'

const seed = Number(process.env['LEAT_SEED'] ?? 7)
/** The bounds also hold for twice as many members, but the test then takes four times as long. */
const memberCount = Number(process.env['LEAT_MEMBERS'] ?? 100)

const NOTICE: PseudonymousNotice = {
  pseudonym: 'a',
  host: 'registry.test',
  closedMs: 60_000,
}

test('a notice is sent on once, and again when the registry closes for notably longer', () => {
  const store = new NoticeStore()
  assert.ok(store.add(NOTICE, 0))
  assert.ok(!store.add(NOTICE, 0))
  assert.ok(
    !store.add({ ...NOTICE, closedMs: 60_900 }, 0),
    'members that get a 429 at once report nearly the same end',
  )
  assert.ok(!store.add({ ...NOTICE, closedMs: 5000 }, 100), 'no notice shortens the time')
  assert.equal(store.latest('a', 1000)?.closedMs, 59_000)
  assert.ok(store.add({ ...NOTICE, closedMs: 120_000 }, 1000))
  assert.equal(store.latest('a', 1000)?.closedMs, 120_000)
  assert.equal(store.latest('a', 200_000), undefined)
})

test('a notice closes a registry for ten minutes at most, and one that closes nothing is not sent on', () => {
  const store = new NoticeStore()
  store.add({ ...NOTICE, closedMs: 10 ** 12 }, 0)
  assert.equal(store.latest('a', 0)?.closedMs, 600_000)
  assert.ok(!store.add({ ...NOTICE, pseudonym: 'b', closedMs: 0 }, 0))
  assert.equal(store.latest('b', 0), undefined)
})

test('each notice is sent in four rounds, and those sent least often come first', () => {
  const store = new NoticeStore()
  for (let at = 0; at < 6; at += 1) store.add({ ...NOTICE, pseudonym: `${at}` }, 0)
  const sentRounds = new Map<string, number>()
  for (let round = 0; store.hasUnsent; round += 1) {
    const notices = store.takeRound(round)
    assert.ok(notices.length <= MAX_NOTICES_PER_MESSAGE)
    for (const { pseudonym } of notices) sentRounds.set(pseudonym, (sentRounds.get(pseudonym) ?? 0) + 1)
  }
  assert.deepEqual([...sentRounds.values()], Array(6).fill(4))
})

test('the store contains the 64 latest notices, each until its time is over', () => {
  const store = new NoticeStore()
  for (let at = 0; at < 1000; at += 1) store.add({ ...NOTICE, pseudonym: `${at}` }, at)
  assert.equal(store.latest('0', 1000), undefined)
  assert.ok(store.latest('936', 1000))
  assert.equal(store.latest('935', 1000), undefined)
  store.expire(60_998)
  assert.ok(store.latest('999', 60_998))
  store.expire(60_999)
  assert.equal(store.latest('999', 60_999), undefined)
})

const CLOSED_NOTICE: PseudonymousNotice = {
  pseudonym: 'ab'.repeat(16),
  host: 'registry.test',
  closedMs: 60_000,
}

test('a rate-limit notice of one member, or of all at once, reaches all within seconds and is sent a bounded number of times', (t) => {
  const swarm = startSwarm(memberCount, seed)
  swarm.run(30_000)
  const isKnown = (pseudonym: string): boolean =>
    swarm.members.every(({ gossip }) => (gossip.notices.latest(pseudonym, swarm.nowMs)?.closedMs ?? 0) > 0)
  swarm.members[0]?.gossip.sendNotice(CLOSED_NOTICE, swarm.nowMs)
  const known = swarm.runUntil(() => isKnown(CLOSED_NOTICE.pseudonym), 10_000)
  const left = swarm.members.map(
    ({ gossip }) => gossip.notices.latest(CLOSED_NOTICE.pseudonym, swarm.nowMs)?.closedMs ?? 0,
  )
  assert.ok(
    left.every((ms) => ms <= 60_000 && ms > 55_000),
    'no member considers the registry closed for longer than the member that got the 429',
  )
  const pseudonym = 'cd'.repeat(16)
  for (const { gossip } of swarm.members) gossip.sendNotice({ ...CLOSED_NOTICE, pseudonym }, swarm.nowMs)
  const { most } = swarm.measureRates(10_000)
  t.diagnostic(
    `seed ${seed}: known after ${known} ms; a notice of all at once costs ${most} B/s for ten seconds`,
  )
  assert.ok(known !== undefined && known <= 4000, `${known} ms`)
  assert.ok(isKnown(pseudonym))
  assert.ok(most < 4096, `${most} B/s`)
})

test('a member that joins later learns which registries are closed', () => {
  const swarm = startSwarm(20, seed)
  swarm.run(15_000)
  swarm.members[0]?.gossip.sendNotice(CLOSED_NOTICE, swarm.nowMs)
  swarm.run(20_000)
  const late = swarm.add('late')
  swarm.link(late, swarm.members[3] ?? assert.fail('there are twenty'))
  swarm.run(1000)
  const ms = late.gossip.notices.latest(CLOSED_NOTICE.pseudonym, swarm.nowMs)?.closedMs ?? 0
  assert.ok(ms > 30_000 && ms < 40_000, `${ms} ms`)
})

test('a member that makes up many notices does not make the others flood the swarm', (t) => {
  const swarm = startSwarm(100, seed)
  swarm.run(20_000)
  const [faulty] = swarm.members
  let sentNotices = 0
  const sendNotices = (): void => {
    for (let at = 0; at < 20; at += 1) {
      sentNotices += 1
      const pseudonym = sentNotices.toString(16).padStart(32, '0')
      for (const to of faulty?.links ?? []) {
        const notice = { ...CLOSED_NOTICE, pseudonym, closedMs: 600_000 }
        to.gossip.receive(faulty?.id ?? to.id, { ...EMPTY_MESSAGE, notices: [notice] }, swarm.nowMs)
      }
    }
    swarm.after(100, sendNotices)
  }
  sendNotices()
  const { most } = swarm.measureRates(20_000)
  t.diagnostic(`seed ${seed}: ${sentNotices} false notices cost each member at most ${most} B/s`)
  assert.ok(most < 16_384, `${most} B/s`)
})
