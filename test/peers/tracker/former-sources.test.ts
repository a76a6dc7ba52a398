import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fetch, ModelSwarm, memberId, PIECE_BYTES, take } from './model-swarm.ts'

test('after a takeover the plan lets all participants join before it instructs any', () => {
  const swarm = new ModelSwarm({ size: 400 * PIECE_BYTES, isTakeover: true })
  assert.deepEqual(swarm.join('0'), [])
  assert.deepEqual(swarm.join('2', { position: 90 * PIECE_BYTES, from: memberId('1') }), [])
  assert.deepEqual(swarm.tick(100), [])
  assert.deepEqual(swarm.join('3', { position: 85 * PIECE_BYTES, from: memberId('2') }), [])
  assert.deepEqual(swarm.join('1', { position: 100 * PIECE_BYTES, from: memberId('old owner') }), [])
  const instructions = swarm.tick(250)
  assert.deepEqual(instructions, [fetch('1'), take('0', '3')])
  assert.deepEqual(swarm.parentsOf('2', '3'), ['1', '2'])
  swarm.runUntilWhole()
  assert.equal(swarm.upstreamBytes, 300 * PIECE_BYTES)
})

test('after a takeover the former owner’s fetcher goes on', () => {
  const swarm = new ModelSwarm({ isTakeover: true })
  swarm.join('0')
  swarm.join('1', { position: 5 * PIECE_BYTES, from: 'upstream' })
  assert.deepEqual(swarm.tick(300), [take('0', '1')])
  assert.equal(swarm.plan.fetcher, '1')
})

test('a source that a participant loses during a takeover is forgotten', () => {
  const swarm = new ModelSwarm({ isTakeover: true })
  swarm.join('0')
  swarm.join('1', { position: 5 * PIECE_BYTES, from: 'upstream' })
  swarm.join('2', { position: 4 * PIECE_BYTES, from: memberId('3') })
  swarm.tell({ is: 'failed', id: memberId('1') })
  swarm.tell({ is: 'lost', id: memberId('2'), parent: memberId('3') })
  swarm.join('3', { position: 4 * PIECE_BYTES })
  const instructions = swarm.tick(300)
  assert.notEqual(swarm.plan.fetcher, '1')
  assert.ok(instructions.some(({ to }) => to === '2'))
  swarm.runUntilWhole()
})
