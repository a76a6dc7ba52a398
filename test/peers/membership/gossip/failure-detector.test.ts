import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startSwarm } from '../../../../testkit/simulation/gossip/gossip-simulation.ts'

const seed = Number(process.env['LEAT_SEED'] ?? 7)
/** The bounds also hold for twice as many members, but the test then takes four times as long. */
const memberCount = Number(process.env['LEAT_MEMBERS'] ?? 100)

test('when a third of the members fail, they are removed from all lists, and no other member is', (t) => {
  const swarm = startSwarm(memberCount, seed)
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
  assert.equal(swarm.mostMissing(20_000), 0)
})

test('links that break and are replaced remove no member from any list', () => {
  const swarm = startSwarm(100, seed)
  swarm.run(15_000)
  for (const node of swarm.members) {
    for (const other of [...node.links]) {
      if (swarm.random() > 0.3) continue
      swarm.unlink(node, other)
      swarm.after(500 + swarm.random() * 6000, () => swarm.link(node, other))
    }
  }
  assert.equal(swarm.mostMissing(30_000), 0)
  assert.ok(swarm.areListsRight())
})

test('a member without links removes all others, and with one new link knows all again at little cost', (t) => {
  const swarm = startSwarm(100, seed)
  swarm.run(15_000)
  const [isolated, other] = swarm.members
  assert.ok(isolated && other)
  for (const linked of [...isolated.links]) swarm.unlink(isolated, linked)
  const isolatedMs = swarm.runUntil(() => isolated.gossip.members.size === 0, 30_000)
  assert.ok(isolatedMs !== undefined && isolatedMs <= 17_000, `${isolatedMs} ms`)
  swarm.link(isolated, other)
  const { mean } = swarm.measureRates(4000)
  t.diagnostic(
    `seed ${seed}: all removed after ${isolatedMs} ms; coming back costs each member ${mean} B/s for four seconds`,
  )
  assert.ok(swarm.areListsRight())
  assert.ok(mean < 4096, `${mean} B/s`)
})
