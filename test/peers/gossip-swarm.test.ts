import assert from 'node:assert/strict'
import { test } from 'node:test'
import { roundLoad } from '../../src/peers/identity/member.ts'
import { NOTHING } from '../../src/peers/membership/gossip-messages.ts'
import type { Word } from '../../src/peers/membership/rate-limit-notices.ts'
import { GossipSimulation } from '../../testkit/simulation/gossip-simulation.ts'

const seed = Number(process.env['LEAT_SEED'] ?? 7)
/** Twice as many hold to the same bounds, but take four times as long. */
const many = Number(process.env['LEAT_MEMBERS'] ?? 100)

/** All start within two seconds. Time, chance and all that is said are the simulation's: nothing here depends on the machine. */
function storm(nodes: number): GossipSimulation {
  const swarm = new GossipSimulation(seed)
  for (let at = 0; at < nodes; at += 1) {
    swarm.after(swarm.random() * 2000, () => swarm.dial(swarm.add(`node-${at}`)))
  }
  return swarm
}

function quietly(swarm: GossipSimulation, ms: number): { missing: number } {
  let missing = 0
  for (let at = 0; at < ms; at += 1000) {
    swarm.run(1000)
    missing = Math.max(missing, swarm.listErrors().missing)
  }
  return { missing }
}

test(`${many} that start together know each other in seconds, and cost next to nothing then`, (t) => {
  const swarm = storm(many)
  swarm.run(2500)
  assert.equal(swarm.members.length, many)
  const known = swarm.runUntil(() => swarm.areListsRight(), 15_000)
  quietly(swarm, 15_000)
  const { mean, most } = swarm.measureRates(60_000)
  t.diagnostic(
    `seed ${seed}: all known ${known} ms after the last start; idle ${mean} B/s, at most ${most} B/s`,
  )
  assert.ok(known !== undefined && known < 8000, `${known} ms`)
  assert.ok(most < 2048, `${most} B/s`)
  assert.ok(swarm.areListsRight())
})

test('how busy a member has become reaches all with its next beats, as a power of two', (t) => {
  const swarm = storm(100)
  swarm.run(15_000)
  const busy = swarm.members.slice(0, 50)
  for (const { gossip } of busy) gossip.load = roundLoad(9)
  for (const { gossip } of swarm.members.slice(50)) gossip.load = roundLoad(3)
  const isKnown = (): boolean =>
    swarm.members.every(({ gossip, id: own }) =>
      busy.every(({ id }) => id === own || gossip.members.get(id)?.load === 8),
    )
  const known = swarm.runUntil(isKnown, 160_000)
  const { mean } = swarm.measureRates(10_000)
  t.diagnostic(`seed ${seed}: known after ${known} ms; then ${mean} B/s`)
  assert.ok(known !== undefined && known < 150_000, `${known} ms`)
  assert.ok(swarm.members.slice(50).every(({ id }) => swarm.members[0]?.gossip.members.get(id)?.load === 2))
})

test('members whose load goes up and down cost no more than a few times what they cost at rest', (t) => {
  const swarm = storm(many)
  swarm.run(30_000)
  let turn = 0
  const change = (): void => {
    turn += 1
    for (const { gossip } of swarm.members) gossip.load = turn % 2 === 0 ? 0 : 64
    swarm.after(1000, change)
  }
  change()
  const { mean, most } = swarm.measureRates(40_000)
  t.diagnostic(`seed ${seed}: all busy and idle by turns cost ${mean} B/s, at most ${most} B/s`)
  assert.ok(most < 6144, `${most} B/s`)
})

const LIMITED: Word = {
  who: 'ab'.repeat(16),
  host: 'registry.test',
  closedMs: 60_000,
  quota: undefined,
  ageMs: 0,
}

test('what a registry has told one, or all at once, all know in seconds and pass on a few times', (t) => {
  const swarm = storm(many)
  swarm.run(30_000)
  const isKnown = (who: string): boolean =>
    swarm.members.every(({ gossip }) => (gossip.tidings.heard(who, swarm.nowMs)?.closedMs ?? 0) > 0)
  swarm.members[0]?.gossip.tell(LIMITED, swarm.nowMs)
  const known = swarm.runUntil(() => isKnown(LIMITED.who), 10_000)
  const left = swarm.members.map(
    ({ gossip }) => gossip.tidings.heard(LIMITED.who, swarm.nowMs)?.closedMs ?? 0,
  )
  assert.ok(
    left.every((ms) => ms <= 60_000 && ms > 55_000),
    'nobody keeps it closed for longer than who was told',
  )
  const who = 'cd'.repeat(16)
  for (const { gossip } of swarm.members) gossip.tell({ ...LIMITED, who }, swarm.nowMs)
  const { most } = swarm.measureRates(10_000)
  t.diagnostic(
    `seed ${seed}: known after ${known} ms; told by all at once it costs ${most} B/s for ten seconds`,
  )
  assert.ok(known !== undefined && known <= 4000, `${known} ms`)
  assert.ok(isKnown(who))
  assert.ok(most < 4096, `${most} B/s`)
})

test('one who comes later is told which registries are closed', () => {
  const swarm = storm(20)
  swarm.run(15_000)
  swarm.members[0]?.gossip.tell(LIMITED, swarm.nowMs)
  swarm.run(20_000)
  const late = swarm.add('late')
  swarm.link(late, swarm.members[3] ?? assert.fail('there are twenty'))
  swarm.run(1000)
  const ms = late.gossip.tidings.heard(LIMITED.who, swarm.nowMs)?.closedMs ?? 0
  assert.ok(ms > 30_000 && ms < 40_000, `${ms} ms`)
})

test('a member that makes up one registry after the other does not make the others flood', (t) => {
  const swarm = storm(100)
  swarm.run(20_000)
  const [liar] = swarm.members
  let made = 0
  const lie = (): void => {
    for (let at = 0; at < 20; at += 1) {
      made += 1
      const who = made.toString(16).padStart(32, '0')
      for (const to of liar?.links ?? []) {
        const word = { ...LIMITED, who, closedMs: 600_000 }
        to.gossip.receive(liar?.id ?? to.id, { ...NOTHING, words: [word] }, swarm.nowMs)
      }
    }
    swarm.after(100, lie)
  }
  lie()
  const { most } = swarm.measureRates(20_000)
  t.diagnostic(`seed ${seed}: ${made} made up cost each at most ${most} B/s`)
  assert.ok(most < 16_384, `${most} B/s`)
})

test('when a third of them vanish without a word they are dropped, and nobody else is', (t) => {
  const swarm = storm(many)
  swarm.run(20_000)
  assert.ok(swarm.areListsRight())
  for (const node of swarm.members.filter((_, at) => at % 10 < 3)) swarm.vanish(node)
  let missing = 0
  const dropped = swarm.runUntil(() => {
    missing = Math.max(missing, swarm.listErrors().missing)
    return swarm.areListsRight()
  }, 25_000)
  t.diagnostic(`seed ${seed}: dropped by all after ${dropped} ms`)
  assert.ok(dropped !== undefined && dropped <= 20_000, `${dropped} ms`)
  assert.equal(missing, 0)
  assert.equal(quietly(swarm, 20_000).missing, 0)
})
test('one who says goodbye is gone for all at once, and one who comes back with a new incarnation is seen at once', (t) => {
  const swarm = storm(100)
  swarm.run(15_000)
  const [first] = swarm.members
  assert.ok(first)
  swarm.leave(first)
  const gone = swarm.runUntil(() => swarm.areListsRight(), 10_000)
  swarm.dial(swarm.add(first.gossip.self.name))
  const back = swarm.runUntil(() => swarm.areListsRight(), 10_000)
  t.diagnostic(`seed ${seed}: gone after ${gone} ms, back after ${back} ms`)
  assert.ok(gone !== undefined && gone <= 3000, `${gone} ms`)
  assert.ok(back !== undefined && back <= 7000, `${back} ms`)
})

test('links that break and come back cost nobody its place', () => {
  const swarm = storm(100)
  swarm.run(15_000)
  for (const node of swarm.members) {
    for (const other of [...node.links]) {
      if (swarm.random() > 0.3) continue
      swarm.unlink(node, other)
      swarm.after(500 + swarm.random() * 6000, () => swarm.link(node, other))
    }
  }
  assert.deepEqual(quietly(swarm, 30_000), { missing: 0 })
  assert.ok(swarm.areListsRight())
})

test('two halves that lost each other drop each other, and are one again when they meet', (t) => {
  const swarm = storm(60)
  swarm.run(15_000)
  const half = (id: string): boolean => id < '8'
  const cut = swarm.members.flatMap((node) =>
    [...node.links]
      .filter((other) => half(node.id) && !half(other.id))
      .map((other) => [node, other] as const),
  )
  for (const [one, two] of cut) swarm.unlink(one, two)
  const apart = swarm.runUntil(
    () =>
      swarm.members.every(({ id, gossip }) =>
        [...gossip.members.all()].every((m) => half(m.id) === half(id)),
      ),
    70_000,
  )
  for (const [one, two] of cut.slice(0, 20)) swarm.link(one, two)
  const together = swarm.runUntil(() => swarm.areListsRight(), 20_000)
  t.diagnostic(`seed ${seed}: apart after ${apart} ms, together again after ${together} ms`)
  assert.ok(apart !== undefined)
  assert.ok(together !== undefined && together <= 10_000, `${together} ms`)
})

test('who is left alone drops all, and knows all again, at little cost, when it has found one', (t) => {
  const swarm = storm(100)
  swarm.run(15_000)
  const [lonely, other] = swarm.members
  assert.ok(lonely && other)
  for (const linked of [...lonely.links]) swarm.unlink(lonely, linked)
  const alone = swarm.runUntil(() => lonely.gossip.members.size === 0, 30_000)
  assert.ok(alone !== undefined && alone <= 17_000, `${alone} ms`)
  swarm.link(lonely, other)
  const { mean } = swarm.measureRates(4000)
  t.diagnostic(`seed ${seed}: alone after ${alone} ms; coming back costs each ${mean} B/s for four seconds`)
  assert.ok(swarm.areListsRight())
  assert.ok(mean < 4096, `${mean} B/s`)
})

test(`${2 * many} know each other in seconds, too`, (t) => {
  const swarm = storm(2 * many)
  swarm.run(2500)
  const known = swarm.runUntil(() => swarm.areListsRight(), 30_000)
  swarm.run(15_000)
  const { mean, most } = swarm.measureRates(10_000)
  t.diagnostic(`seed ${seed}: all known after ${known} ms; idle ${mean} B/s, at most ${most} B/s`)
  assert.ok(known !== undefined && known <= 20_000, `${known} ms`)
  assert.ok(mean < 2048, `${mean} B/s`)
})
