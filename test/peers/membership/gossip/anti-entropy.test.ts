import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startSwarm } from '../../../../testkit/simulation/gossip/gossip-simulation.ts'

const seed = Number(process.env['LEAT_SEED'] ?? 7)

test('two halves of a partitioned swarm remove each other, and merge again when links connect them', (t) => {
  const swarm = startSwarm(60, seed)
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
