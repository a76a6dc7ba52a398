import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAX_INCARNATION, type SignedHeartbeat, Signer } from '../../src/peers/identity/signed-record.ts'
import type { Message } from '../../src/peers/membership/gossip-messages.ts'
import {
  accountOf,
  GossipSimulation,
  identityNamed,
  memberOf,
  type SimulatedMember,
} from '../../testkit/simulation/gossip-simulation.ts'

const seed = Number(process.env['LEAT_SEED'] ?? 7)

/** One of them knows the secret as all do, and says what it likes. */
interface Setting {
  readonly swarm: GossipSimulation
  readonly liar: SimulatedMember
  readonly victim: SimulatedMember
}

function setUp(): Setting {
  const swarm = new GossipSimulation(seed)
  for (let at = 0; at < 40; at += 1) swarm.dial(swarm.add(`node-${at}`))
  swarm.run(15_000)
  assert.ok(swarm.areListsRight())
  const [liar, other] = swarm.members
  assert.ok(liar && other)
  // Who has a link to it is not taken in by hearsay: the others are to see through it.
  const victim = swarm.members.find((node) => node !== liar && !liar.links.has(node)) ?? other
  return { swarm, liar, victim }
}

/** What is said is signed by the liar: that is the best it can do. */
function forged(
  kind: 'alive' | 'goodbye',
  victim: SimulatedMember,
  incarnation: { incarnation?: number; sequence?: number },
) {
  const { id, gossip } = victim
  return new Signer(identityNamed('node-0')).signHeartbeat(kind, {
    id,
    incarnation: incarnation.incarnation ?? gossip.self.incarnation,
    sequence: incarnation.sequence ?? 0,
  })
}

/** All but the liar have the victim as it says of itself; for as long as half a minute. */
function staysTrue({ swarm, liar, victim }: Setting): void {
  const { incarnation } = victim.gossip.self
  for (let second = 0; second < 30; second += 1) {
    swarm.run(1000)
    assert.equal(victim.gossip.self.incarnation, incarnation, 'it lives the same incarnation')
    for (const { id, gossip } of swarm.members) {
      if (id === victim.id || id === liar.id) continue
      assert.deepEqual(gossip.members.get(victim.id), victim.gossip.self, `after ${second} s`)
    }
  }
}

function lie(setting: Setting, message: Partial<Message>, { isCut = true } = {}): void {
  const { swarm, liar, victim } = setting
  const told = [...liar.links].filter(({ links }) => !links.has(victim))
  assert.ok(told.length > 0)
  swarm.broadcast(liar, message)
  staysTrue(setting)
  for (const node of told) assert.equal(liar.links.has(node), !isCut)
}

test('a later incarnation at another address that another has made up for a member is not believed', () => {
  const setting = setUp()
  const { self } = setting.victim.gossip
  const moved = { ...self, incarnation: self.incarnation + 1, host: '10.6.6.6' }
  // With a key of the liar's, and with the key of the victim.
  const { record, sign } = accountOf('node-0', moved)
  const { key } = accountOf(self.name, self).record
  const stolen = {
    record: { ...record, key },
    sign: forged('alive', setting.victim, { incarnation: moved.incarnation }),
  }
  assert.deepEqual(stolen.record.member, moved)
  lie(setting, { records: [stolen, { record, sign }] })
})

test('a incarnation that ends all lives is not believed, by the member itself neither', () => {
  for (const kind of ['records', 'beats', 'goodbyes', 'doubts'] as const) {
    const setting = setUp()
    const { victim } = setting
    const incarnation = MAX_INCARNATION - 1
    const last = forged(kind === 'goodbyes' ? 'goodbye' : 'alive', victim, { incarnation })
    const { self } = victim.gossip
    const { record } = accountOf('node-0', { ...self, incarnation })
    const { key } = accountOf(self.name, self).record
    const message =
      kind === 'records' ? { records: [{ record: { ...record, key }, sign: last }] } : { [kind]: [last] }
    if (!setting.liar.links.has(victim)) setting.swarm.link(setting.liar, victim)
    // A sequence of a incarnation that is not known makes them ask for its record, which the liar does not have.
    setting.swarm.broadcast(setting.liar, message)
    staysTrue(setting)
    if (kind !== 'doubts') assert.ok(!setting.liar.links.has(victim))
  }
})

test('a goodbye that another says for a member hides it from nobody', () => {
  const setting = setUp()
  lie(setting, { goodbyes: [forged('goodbye', setting.victim, { sequence: 2 ** 52 })] })
})

test('a sequence that another has made up silences no member', () => {
  const setting = setUp()
  lie(setting, { beats: [forged('alive', setting.victim, { sequence: 2 ** 52 })] })
})

test('doubts about all, of beats that nobody has heard, drop nobody and cost little', (t) => {
  const setting = setUp()
  const { swarm, liar } = setting
  const doubts = swarm.members.map((node): SignedHeartbeat => forged('alive', node, { sequence: 2 ** 52 }))
  const doubt = (): void => {
    swarm.broadcast(liar, { doubts })
    swarm.after(1000, doubt)
  }
  doubt()
  let missing = 0
  swarm.after(5000, function look(): void {
    missing = Math.max(missing, swarm.listErrors().missing)
    swarm.after(1000, look)
  })
  swarm.measureRates(30_000)
  const most = Math.max(...swarm.members.map((node) => (node === liar ? 0 : node.sentBytes / 30)))
  t.diagnostic(`seed ${seed}: costs the others at most ${Math.round(most)} B/s`)
  assert.equal(missing, 0)
  assert.ok(most < 65_536, `${most} B/s`)
})

test('a record of a incarnation before does not bring back what has changed since', () => {
  const setting = setUp()
  const { victim } = setting
  const before = memberOf(victim.gossip.self.name, victim.gossip.self.incarnation - 1000)
  const account = accountOf(before.name, { ...before, host: '10.6.6.6' }, 2 ** 52)
  lie(setting, { records: [account], beats: [account.sign] }, { isCut: false })
})
