import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Reputation } from '../../../../src/peers/tracker/tree/reputation.ts'
import { chain, ModelSwarm, memberId, take } from '../model-swarm.ts'

test('only the latest losses are remembered, however many children lose a parent', () => {
  const reputation = new Reputation()
  for (let at = 0; at < 5000; at += 1) reputation.addLoss(memberId(`${at}`), 0)
  assert.ok(reputation.size <= 64, `${reputation.size}`)
  reputation.clearLoss(memberId('4998'))
  assert.equal(reputation.isAvoidedBy(memberId('4998'), 0), false)
  assert.equal(reputation.isAvoidedBy(memberId('4999'), 0), true)
})

test('a seeder that never answers soon gets no more children', () => {
  const swarm = new ModelSwarm()
  swarm.join('dead', { whole: true })
  swarm.join('well', { whole: true })
  const dead = swarm.member('dead')
  dead.isBroken = true
  for (let at = 0; at < 20; at += 1) {
    swarm.join(`${at}`)
    swarm.runRound(1)
  }
  const tries = swarm.instructions.filter(
    (instruction) => instruction.do === 'take' && instruction.from === 'dead',
  )
  assert.ok(tries.length < 8, `${tries.length}`)
})

test('a participant that one child blames is not its parent again, and one that two children blame gets no children', () => {
  const swarm = chain(3)
  swarm.runRound()
  swarm.tell({ is: 'blamed', id: memberId('2'), parent: memberId('1') })
  assert.deepEqual(swarm.parentsOf('2'), ['0'])
  swarm.join('3')
  swarm.leave('2')
  for (const name of ['4', '5', '6']) swarm.join(name)
  const victim = ['3', '4', '5', '6'].find((name) => swarm.plan.parentOf(memberId(name)) === '1')
  assert.ok(victim !== undefined)
  swarm.tell({ is: 'blamed', id: memberId(victim), parent: memberId('1') })
  for (const name of ['7', '8', '9']) swarm.join(name)
  swarm.leave('1')
  swarm.join('1', { whole: true })
  for (const name of ['10', '11']) swarm.join(name)
  swarm.runRound()
  const taking = [...swarm.members.keys()].filter((id) => swarm.plan.parentOf(id) === '1')
  assert.deepEqual(taking, [])
})

test('a participant that the fetcher blames gets no more children', () => {
  const swarm = chain(3)
  assert.deepEqual(swarm.parentsOf('2'), ['1'])
  assert.deepEqual(swarm.tell({ is: 'blamed', id: memberId('0'), parent: memberId('1') }), [take('2', '0')])
})

test('when all seeders are blamed or cannot be reached, a participant asks upstream', () => {
  const lied = new ModelSwarm()
  lied.join('has', { whole: true })
  lied.join('0')
  lied.tell({ is: 'blamed', id: memberId('0'), parent: memberId('has') })
  for (let at = 0; at < 16; at += 1) lied.runRound()
  assert.equal(lied.plan.fetcher ?? 'whole', lied.members.get(memberId('0'))?.isWhole ? 'whole' : '0')
  const dead = new ModelSwarm()
  dead.join('has', { whole: true })
  const has = dead.member('has')
  has.isBroken = true
  dead.join('0')
  assert.ok(dead.runUntilWhole() < 80)
})
