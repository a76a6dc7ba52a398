import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startSwarm } from '../../../../testkit/simulation/gossip/gossip-simulation.ts'

const seed = Number(process.env['LEAT_SEED'] ?? 7)
/** The bounds also hold for twice as many members, but the test then takes four times as long. */
const memberCount = Number(process.env['LEAT_MEMBERS'] ?? 100)

test(`${memberCount} members that start together all know each other within seconds, and then send little`, (t) => {
  const swarm = startSwarm(memberCount, seed)
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

test(`${2 * memberCount} members know each other within seconds`, (t) => {
  const swarm = startSwarm(2 * memberCount, seed)
  swarm.run(2500)
  const known = swarm.runUntil(() => swarm.areListsRight(), 30_000)
  swarm.run(15_000)
  const { mean, most } = swarm.measureRates(10_000)
  t.diagnostic(`seed ${seed}: all known after ${known} ms; idle ${mean} B/s, at most ${most} B/s`)
  assert.ok(known !== undefined && known <= 20_000, `${known} ms`)
  assert.ok(mean < 2048, `${mean} B/s`)
})

test('a member that says goodbye is removed by all at once, and one that returns in a new incarnation is added at once', (t) => {
  const swarm = startSwarm(100, seed)
  swarm.run(15_000)
  const [first] = swarm.members
  assert.ok(first)
  swarm.leave(first)
  const gone = swarm.runUntil(() => swarm.areListsRight(), 10_000)
  swarm.linkToOthers(swarm.add(first.gossip.self.name))
  const back = swarm.runUntil(() => swarm.areListsRight(), 10_000)
  t.diagnostic(`seed ${seed}: removed after ${gone} ms, back after ${back} ms`)
  assert.ok(gone !== undefined && gone <= 3000, `${gone} ms`)
  assert.ok(back !== undefined && back <= 7000, `${back} ms`)
})
