import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chain, fetch, ModelSwarm, memberId, PIECE_BYTES, take } from './model-swarm.ts'

test('the only participant asks upstream', () => {
  const swarm = new ModelSwarm()
  assert.deepEqual(swarm.join('0'), [fetch('0')])
  swarm.runUntilWhole()
  assert.equal(swarm.plan.incompleteCount, 0)
  assert.equal(swarm.plan.fetcher, undefined)
})

test('members that join at the same time form a chain, and upstream sends each byte once', () => {
  const swarm = chain(8)
  assert.deepEqual(swarm.parentsOf('1', '2', '3', '7'), ['0', '1', '2', '6'])
  swarm.runUntilWhole()
  assert.equal(swarm.upstreamBytes, swarm.size)
  assert.equal(swarm.instructions.length, 8)
})

test('participants get parents once the size is known or the fetcher has its first bytes', () => {
  const swarm = chain(4, { isSizeKnown: false })
  assert.deepEqual(swarm.instructions, [fetch('0')])
  assert.equal(swarm.tell({ is: 'sized', size: swarm.size }).length, 3)
  const other = chain(4, { isSizeKnown: false })
  assert.equal(other.tell({ is: 'at', id: memberId('0'), position: PIECE_BYTES }).length, 3)
})

test('a member that joins late takes from the end of the chain', () => {
  const swarm = chain(3)
  for (let at = 0; at < 4; at += 1) swarm.runRound()
  assert.deepEqual(swarm.join('late'), [take('late', '2')])
})

test('a member that joins with a part of the content takes from a participant that is as far', () => {
  const swarm = chain(4, { size: 400 * PIECE_BYTES })
  swarm.runRound(20)
  swarm.runRound(20)
  swarm.join('part', { position: 20 * PIECE_BYTES })
  assert.ok(['0', '1'].includes(`${swarm.plan.parentOf(memberId('part'))}`))
})

test('members that join are spread over all seeders', () => {
  const swarm = new ModelSwarm()
  for (let at = 0; at < 6; at += 1) swarm.join(`has ${at}`, { whole: true })
  for (let at = 0; at < 6; at += 1) swarm.join(`${at}`)
  assert.equal(new Set(swarm.parentsOf('0', '1', '2', '3', '4', '5')).size, 6)
})

test('a participant whose parent leaves takes from its grandparent', () => {
  const swarm = chain(5)
  swarm.runRound()
  assert.deepEqual(swarm.leave('2'), [take('3', '1')])
  swarm.runUntilWhole()
  assert.equal(swarm.upstreamBytes, swarm.size)
})

test('a participant that cannot reach its only possible parent tries that parent again after a while', () => {
  const swarm = chain(2)
  assert.deepEqual(swarm.tell({ is: 'lost', id: memberId('1'), parent: memberId('0') }), [
    { to: memberId('1'), do: 'wait' },
  ])
  assert.deepEqual(swarm.tick(500), [])
  assert.deepEqual(swarm.tick(600), [take('1', '0')])
})

test('a report about a former parent changes nothing', () => {
  const swarm = chain(4)
  assert.deepEqual(swarm.tell({ is: 'lost', id: memberId('3'), parent: memberId('1') }), [])
})

test('a participant that joins again gets a parent that fits the bytes it has now', () => {
  const swarm = chain(4, { size: 400 * PIECE_BYTES })
  for (let at = 0; at < 8; at += 1) swarm.runRound()
  const position = swarm.members.get(memberId('1'))?.position ?? 0
  assert.deepEqual(swarm.join('1', { position, from: memberId('0') }), [])
  swarm.join('1', { position: 0 })
  assert.notEqual(swarm.plan.parentOf(memberId('2')), '1')
  swarm.runUntilWhole()
  assert.equal(swarm.upstreamBytes, swarm.size)
})
