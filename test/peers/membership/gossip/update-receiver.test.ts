import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  MAX_INCARNATION,
  type SignedHeartbeat,
  Signer,
} from '../../../../src/peers/identity/signed-record.ts'
import type { GossipMessage } from '../../../../src/peers/membership/gossip/gossip-messages.ts'
import {
  GossipSimulation,
  type SimulatedMember,
} from '../../../../testkit/simulation/gossip/gossip-simulation.ts'
import { identityNamed, memberOf, recordOf } from '../../../../testkit/simulation/gossip/named-members.ts'

const seed = Number(process.env['LEAT_SEED'] ?? 7)

/** A swarm in which one member, which knows the secret, sends forged messages. */
interface Setting {
  readonly swarm: GossipSimulation
  readonly forger: SimulatedMember
  readonly victim: SimulatedMember
}

function setUp(): Setting {
  const swarm = new GossipSimulation(seed)
  for (let at = 0; at < 40; at += 1) swarm.linkToOthers(swarm.add(`node-${at}`))
  swarm.run(15_000)
  assert.ok(swarm.areListsRight())
  const [forger, other] = swarm.members
  assert.ok(forger && other)
  // A victim to which the forger has no link: members with a link to the victim ignore what others say of it.
  const victim = swarm.members.find((node) => node !== forger && !forger.links.has(node)) ?? other
  return { swarm, forger, victim }
}

/** A heartbeat of the victim that the forger has signed with its own key, since it does not have the victim's. */
function forgeHeartbeat(
  kind: 'alive' | 'goodbye',
  victim: SimulatedMember,
  { incarnation, sequence }: { incarnation?: number; sequence?: number },
) {
  const { id, gossip } = victim
  return new Signer(identityNamed('node-0')).signHeartbeat(kind, {
    id,
    incarnation: incarnation ?? gossip.self.incarnation,
    sequence: sequence ?? 0,
  })
}

/** For half a minute, the lists of all other members show the victim as it describes itself. */
function assertVictimUnchanged({ swarm, forger, victim }: Setting): void {
  const { incarnation } = victim.gossip.self
  for (let second = 0; second < 30; second += 1) {
    swarm.run(1000)
    assert.equal(victim.gossip.self.incarnation, incarnation, 'the victim has not begun a new incarnation')
    for (const { id, gossip } of swarm.members) {
      if (id === victim.id || id === forger.id) continue
      assert.deepEqual(gossip.members.get(victim.id), victim.gossip.self, `after ${second} s`)
    }
  }
}

/** Sends the message to all links of the forger. They close these links, unless `isCut` is false. */
function sendForged(setting: Setting, message: Partial<GossipMessage>, { isCut = true } = {}): void {
  const { swarm, forger, victim } = setting
  const receivers = [...forger.links].filter(({ links }) => !links.has(victim))
  assert.ok(receivers.length > 0)
  swarm.broadcast(forger, message)
  assertVictimUnchanged(setting)
  for (const node of receivers) assert.equal(forger.links.has(node), !isCut)
}

test('a forged record of a later incarnation at another address is refused', () => {
  const setting = setUp()
  const { self } = setting.victim.gossip
  const moved = { ...self, incarnation: self.incarnation + 1, host: '10.6.6.6' }
  // One record carries the key of the forger, the other one the key of the victim.
  const { record, heartbeat } = recordOf('node-0', moved)
  const { key } = recordOf(self.name, self).record
  const stolen = {
    record: { ...record, key },
    heartbeat: forgeHeartbeat('alive', setting.victim, { incarnation: moved.incarnation }),
  }
  assert.deepEqual(stolen.record.member, moved)
  sendForged(setting, { records: [stolen, { record, heartbeat }] })
})

test('a forged highest incarnation is refused, also by the member itself', () => {
  for (const kind of ['records', 'heartbeats', 'goodbyes', 'suspects'] as const) {
    const setting = setUp()
    const { victim } = setting
    const incarnation = MAX_INCARNATION - 1
    const last = forgeHeartbeat(kind === 'goodbyes' ? 'goodbye' : 'alive', victim, { incarnation })
    const { self } = victim.gossip
    const { record } = recordOf('node-0', { ...self, incarnation })
    const { key } = recordOf(self.name, self).record
    const message =
      kind === 'records' ? { records: [{ record: { ...record, key }, heartbeat: last }] } : { [kind]: [last] }
    if (!setting.forger.links.has(victim)) setting.swarm.link(setting.forger, victim)
    // Members that receive a heartbeat of an unknown incarnation ask for its record, which the forger does not have.
    setting.swarm.broadcast(setting.forger, message)
    assertVictimUnchanged(setting)
    if (kind !== 'suspects') assert.ok(!setting.forger.links.has(victim))
  }
})

test('a forged goodbye removes the member from no list', () => {
  const setting = setUp()
  sendForged(setting, { goodbyes: [forgeHeartbeat('goodbye', setting.victim, { sequence: 2 ** 52 })] })
})

test('a forged heartbeat with a high sequence number does not make later heartbeats of the member be ignored', () => {
  const setting = setUp()
  sendForged(setting, { heartbeats: [forgeHeartbeat('alive', setting.victim, { sequence: 2 ** 52 })] })
})

test('when all members are suspected with forged heartbeats, none is removed, and refuting costs little', (t) => {
  const setting = setUp()
  const { swarm, forger } = setting
  const suspects = swarm.members.map(
    (node): SignedHeartbeat => forgeHeartbeat('alive', node, { sequence: 2 ** 52 }),
  )
  const sendSuspects = (): void => {
    swarm.broadcast(forger, { suspects })
    swarm.after(1000, sendSuspects)
  }
  sendSuspects()
  let missing = 0
  swarm.after(5000, function look(): void {
    missing = Math.max(missing, swarm.listErrors().missing)
    swarm.after(1000, look)
  })
  swarm.measureRates(30_000)
  const most = Math.max(...swarm.members.map((node) => (node === forger ? 0 : node.sentBytes / 30)))
  t.diagnostic(`seed ${seed}: each other member sends at most ${Math.round(most)} B/s`)
  assert.equal(missing, 0)
  assert.ok(most < 65_536, `${most} B/s`)
})

test('a record of an earlier incarnation changes nothing', () => {
  const setting = setUp()
  const { victim } = setting
  const before = memberOf(victim.gossip.self.name, victim.gossip.self.incarnation - 1000)
  const earlier = recordOf(before.name, { ...before, host: '10.6.6.6' }, 2 ** 52)
  sendForged(setting, { records: [earlier], heartbeats: [earlier.heartbeat] }, { isCut: false })
})
