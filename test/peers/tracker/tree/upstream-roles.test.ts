import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chain, fetch, ModelSwarm, memberId, PIECE_BYTES, take } from '../model-swarm.ts'

test('a member that is far ahead of the fetcher becomes the fetcher, and the former one takes from it', () => {
  const swarm = chain(2, { size: 400 * PIECE_BYTES })
  swarm.runRound(10)
  const instructions = swarm.join('part', { position: 300 * PIECE_BYTES })
  assert.deepEqual(instructions, [take('0', 'part'), fetch('part')].reverse())
  swarm.runUntilWhole()
  assert.equal(swarm.upstreamBytes, 110 * PIECE_BYTES)
})

test('while there is a seeder, no participant asks upstream', () => {
  const swarm = new ModelSwarm({ size: 400 * PIECE_BYTES })
  swarm.join('has', { whole: true })
  assert.deepEqual(swarm.join('0'), [take('0', 'has')])
  const late = chain(1, { size: 400 * PIECE_BYTES })
  late.runRound(10)
  assert.deepEqual(late.join('has', { whole: true }), [take('0', 'has')])
  late.runUntilWhole()
  assert.equal(late.upstreamBytes, 10 * PIECE_BYTES)
})

test('when the fetcher leaves, fails, falls silent or stalls, the furthest participant becomes the fetcher', () => {
  const ends: Record<string, (swarm: ModelSwarm) => void> = {
    leaves: (swarm) => swarm.leave('0'),
    fails: (swarm) => swarm.tell({ is: 'failed', id: memberId('0') }),
    'falls silent': (swarm) => {
      for (let ms = 0; ms < 4000; ms += 500) {
        for (const name of ['1', '2', '3']) swarm.tell({ is: 'at', id: memberId(name), position: 0 })
        swarm.tick(500)
      }
    },
    'stands still': (swarm) => {
      for (const name of ['1', '2', '3'])
        swarm.tell({ is: 'at', id: memberId(name), position: 6 * PIECE_BYTES })
      for (let ms = 0; ms < 9000; ms += 500) {
        for (const name of ['0', '1', '2', '3']) swarm.tell({ is: 'at', id: memberId(name), position: 0 })
        swarm.tick(500)
      }
    },
  }
  for (const [name, end] of Object.entries(ends)) {
    const swarm = chain(4)
    for (let at = 0; at < 3; at += 1) swarm.runRound(2)
    end(swarm)
    assert.equal(swarm.plan.fetcher, '1', name)
    assert.deepEqual(swarm.parentsOf('2', '3'), ['1', '2'], name)
    assert.equal(swarm.instructions.filter(({ do: what }) => what === 'fetch').length, 2, name)
  }
})

test('after three failures of upstream in a row all participants are told to give up', () => {
  const swarm = chain(6)
  swarm.isUpstreamDown = true
  swarm.runUntilWhole(20)
  assert.equal(swarm.ended.size, 6)
  assert.equal(swarm.instructions.filter(({ do: what }) => what === 'fetch').length, 3)
  assert.equal(swarm.plan.participantCount, 0)
})

test('a member that upstream failed in another plan does not become the fetcher, and gives up when all are such members', () => {
  const swarm = new ModelSwarm()
  assert.deepEqual(swarm.join('0', { hasFailed: true }), [{ to: '0', do: 'end' }])
  swarm.join('1')
  swarm.join('2', { hasFailed: true })
  swarm.runUntilWhole()
  swarm.join('3', { hasFailed: true })
  swarm.runUntilWhole()
  assert.ok(swarm.instructions.every(({ to, do: what }) => what !== 'fetch' || to === '1'))
})

test('at most two stuck participants ask upstream for themselves, after ten seconds', () => {
  const swarm = chain(6)
  for (const name of ['0', '1', '2', '3', '4', '5']) {
    for (const parent of ['0', '1', '2', '3', '4', '5']) {
      if (name !== parent && name > '2')
        swarm.tell({ is: 'blamed', id: memberId(name), parent: memberId(parent) })
    }
  }
  const direct = () => swarm.instructions.filter(({ do: what }) => what === 'alone').map(({ to }) => to)
  for (let at = 0; at < 39; at += 1) swarm.runRound(0)
  assert.deepEqual(direct(), [])
  for (let at = 0; at < 80; at += 1) swarm.runRound(0)
  assert.equal(direct().length, 2)
})
