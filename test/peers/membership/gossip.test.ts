import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EMPTY_MESSAGE } from '../../../src/peers/membership/gossip-messages.ts'
import type { PseudonymousNotice } from '../../../src/peers/membership/rate-limit-notices.ts'
import { GossipSimulation } from '../../../testkit/simulation/gossip-simulation.ts'

const seed = Number(process.env['LEAT_SEED'] ?? 7)
/** The bounds also hold for twice as many members, but the test then takes four times as long. */
const memberCount = Number(process.env['LEAT_MEMBERS'] ?? 100)

/**
 * A swarm whose members all start within two seconds. Time, random numbers and messages are simulated, so that nothing
 * here depends on the speed of the machine.
 */
function startSwarm(count: number): GossipSimulation {
  const swarm = new GossipSimulation(seed)
  for (let at = 0; at < count; at += 1) {
    swarm.after(swarm.random() * 2000, () => swarm.dial(swarm.add(`node-${at}`)))
  }
  return swarm
}

/** The most members that were missing in all lists together while the simulation ran. */
function mostMissing(swarm: GossipSimulation, ms: number): number {
  let missing = 0
  for (let at = 0; at < ms; at += 1000) {
    swarm.run(1000)
    missing = Math.max(missing, swarm.listErrors().missing)
  }
  return missing
}

test(`${memberCount} members that start together all know each other within seconds, and then send little`, (t) => {
  const swarm = startSwarm(memberCount)
  swarm.run(2500)
  assert.equal(swarm.members.length, memberCount)
  const known = swarm.runUntil(() => swarm.areListsRight(), 15_000)
  swarm.run(15_000)
  const { mean, most } = swarm.measureRates(60_000)
  t.diagnostic(
    `seed ${seed}: all known ${known} ms after the last start; idle ${mean} B/s, at most ${most} B/s`,
  )
  assert.ok(known !== undefined && known < 8000, `${known} ms`)
  assert.ok(most < 2048, `${most} B/s`)
  assert.ok(swarm.areListsRight())
})

const CLOSED_NOTICE: PseudonymousNotice = {
  pseudonym: 'ab'.repeat(16),
  host: 'registry.test',
  closedMs: 60_000,
}

test('a rate-limit notice of one member, or of all at once, reaches all within seconds and is sent a bounded number of times', (t) => {
  const swarm = startSwarm(memberCount)
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
  const swarm = startSwarm(20)
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
  const swarm = startSwarm(100)
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

test('when a third of the members fail, they are removed from all lists, and no other member is', (t) => {
  const swarm = startSwarm(memberCount)
  swarm.run(20_000)
  assert.ok(swarm.areListsRight())
  for (const node of swarm.members.filter((_, at) => at % 10 < 3)) swarm.vanish(node)
  let missing = 0
  const removed = swarm.runUntil(() => {
    missing = Math.max(missing, swarm.listErrors().missing)
    return swarm.areListsRight()
  }, 25_000)
  t.diagnostic(`seed ${seed}: removed from all lists after ${removed} ms`)
  assert.ok(removed !== undefined && removed <= 20_000, `${removed} ms`)
  assert.equal(missing, 0)
  assert.equal(mostMissing(swarm, 20_000), 0)
})

test('a member that says goodbye is removed by all at once, and one that returns in a new incarnation is added at once', (t) => {
  const swarm = startSwarm(100)
  swarm.run(15_000)
  const [first] = swarm.members
  assert.ok(first)
  swarm.leave(first)
  const gone = swarm.runUntil(() => swarm.areListsRight(), 10_000)
  swarm.dial(swarm.add(first.gossip.self.name))
  const back = swarm.runUntil(() => swarm.areListsRight(), 10_000)
  t.diagnostic(`seed ${seed}: removed after ${gone} ms, back after ${back} ms`)
  assert.ok(gone !== undefined && gone <= 3000, `${gone} ms`)
  assert.ok(back !== undefined && back <= 7000, `${back} ms`)
})

test('links that break and are replaced remove no member from any list', () => {
  const swarm = startSwarm(100)
  swarm.run(15_000)
  for (const node of swarm.members) {
    for (const other of [...node.links]) {
      if (swarm.random() > 0.3) continue
      swarm.unlink(node, other)
      swarm.after(500 + swarm.random() * 6000, () => swarm.link(node, other))
    }
  }
  assert.equal(mostMissing(swarm, 30_000), 0)
  assert.ok(swarm.areListsRight())
})

test('two halves of a partitioned swarm remove each other, and merge again when links connect them', (t) => {
  const swarm = startSwarm(60)
  swarm.run(15_000)
  const isInFirstHalf = (id: string): boolean => id < '8'
  const cut = swarm.members.flatMap((node) =>
    [...node.links]
      .filter((other) => isInFirstHalf(node.id) && !isInFirstHalf(other.id))
      .map((other) => [node, other] as const),
  )
  for (const [one, two] of cut) swarm.unlink(one, two)
  const apart = swarm.runUntil(
    () =>
      swarm.members.every(({ id, gossip }) =>
        [...gossip.members.all()].every((m) => isInFirstHalf(m.id) === isInFirstHalf(id)),
      ),
    70_000,
  )
  for (const [one, two] of cut.slice(0, 20)) swarm.link(one, two)
  const together = swarm.runUntil(() => swarm.areListsRight(), 20_000)
  t.diagnostic(`seed ${seed}: apart after ${apart} ms, together again after ${together} ms`)
  assert.ok(apart !== undefined)
  assert.ok(together !== undefined && together <= 10_000, `${together} ms`)
})

test('a member without links removes all others, and with one new link knows all again at little cost', (t) => {
  const swarm = startSwarm(100)
  swarm.run(15_000)
  const [isolated, other] = swarm.members
  assert.ok(isolated && other)
  for (const linked of [...isolated.links]) swarm.unlink(isolated, linked)
  const alone = swarm.runUntil(() => isolated.gossip.members.size === 0, 30_000)
  assert.ok(alone !== undefined && alone <= 17_000, `${alone} ms`)
  swarm.link(isolated, other)
  const { mean } = swarm.measureRates(4000)
  t.diagnostic(`seed ${seed}: alone after ${alone} ms; coming back costs each ${mean} B/s for four seconds`)
  assert.ok(swarm.areListsRight())
  assert.ok(mean < 4096, `${mean} B/s`)
})

test(`${2 * memberCount} members know each other within seconds`, (t) => {
  const swarm = startSwarm(2 * memberCount)
  swarm.run(2500)
  const known = swarm.runUntil(() => swarm.areListsRight(), 30_000)
  swarm.run(15_000)
  const { mean, most } = swarm.measureRates(10_000)
  t.diagnostic(`seed ${seed}: all known after ${known} ms; idle ${mean} B/s, at most ${most} B/s`)
  assert.ok(known !== undefined && known <= 20_000, `${known} ms`)
  assert.ok(mean < 2048, `${mean} B/s`)
})
