import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chain, ModelSwarm, memberId, PIECE_BYTES } from '../model-swarm.ts'

/** Pieces in each round; this is 16 KiB/s. */
const VERY_SLOW = 1 / 16
const PIECES = 64

/** Seeders that give so many pieces in each round, and members that join after them. */
function swarmOf(gives: readonly number[], joining: number): ModelSwarm {
  const swarm = new ModelSwarm({ size: PIECES * PIECE_BYTES })
  for (const [at, pieces] of gives.entries()) {
    swarm.join(`seeder ${at}`, { whole: true })
    swarm.member(`seeder ${at}`).gives = pieces
  }
  for (let at = 0; at < joining; at += 1) swarm.join(`joining ${at}`)
  return swarm
}

test('the children of a very slow seeder move to a faster one', () => {
  for (const gives of [
    [VERY_SLOW, 8],
    [8, VERY_SLOW],
    [VERY_SLOW, VERY_SLOW, 8, VERY_SLOW],
  ]) {
    for (let joining = 1; joining <= gives.length; joining += 1) {
      const swarm = swarmOf(gives, joining)
      const rounds = swarm.runUntilWhole()
      assert.ok(rounds < 90, `${gives}, ${joining}: ${rounds}`)
      assert.equal(swarm.upstreamBytes, 0)
    }
  }
})

test('when no seeder is faster and upstream is down, the trials cost hardly any time', () => {
  const swarm = swarmOf([VERY_SLOW, VERY_SLOW], 1)
  swarm.isUpstreamDown = true
  const rounds = swarm.runUntilWhole()
  assert.ok(rounds < (PIECES / VERY_SLOW) * 1.03, `${rounds}`)
  assert.ok(swarm.instructions.length < 10, `${swarm.instructions.length} instructions`)
})

test('a participant whose trial parent is slower goes back to the seeder', () => {
  for (const gives of [
    [0.5, VERY_SLOW],
    [VERY_SLOW, 0.5],
  ]) {
    const swarm = swarmOf(gives, 1)
    const rounds = swarm.runUntilWhole()
    assert.ok(rounds < (PIECES / 0.5) * 1.2, `${gives}: ${rounds}`)
    assert.equal(swarm.upstreamBytes, 0)
  }
})

test('when the only seeder is very slow, one participant asks upstream for all', () => {
  for (const joining of [1, 5]) {
    const swarm = swarmOf([VERY_SLOW], joining)
    const rounds = swarm.runUntilWhole()
    assert.ok(rounds < 90, `${joining}: ${rounds}`)
    assert.ok(swarm.upstreamBytes <= swarm.size, `${swarm.upstreamBytes / swarm.size}`)
  }
})

test('a seeder at a normal rate keeps its child', () => {
  const swarm = swarmOf([4, 8], 1)
  swarm.runUntilWhole()
  assert.equal(swarm.instructions.filter((instruction) => instruction.do === 'take').length, 1)
})

test('a participant that has all bytes of its parent moves to an idle seeder', () => {
  const swarm = chain(3, { size: 400 * PIECE_BYTES })
  swarm.runRound(1)
  swarm.join('has', { whole: true })
  swarm.join('idle', { whole: true })
  for (let at = 0; at < 8; at += 1) swarm.runRound(1)
  assert.deepEqual(swarm.parentsOf('0', '1', '2'), ['has', 'idle', '1'])
  swarm.runUntilWhole()
})

test('a participant that is slower than its children could be becomes the end of the chain', () => {
  const swarm = new ModelSwarm({ size: 400 * PIECE_BYTES })
  swarm.join('has', { whole: true })
  for (const name of ['slow', '1', '2']) swarm.join(name)
  swarm.member('slow').takes = 1
  assert.deepEqual(swarm.parentsOf('slow', '1', '2'), ['has', 'slow', '1'])
  for (let at = 0; at < 7; at += 1) swarm.runRound()
  assert.deepEqual(swarm.parentsOf('1', '2', 'slow'), ['has', '1', '2'])
  swarm.join('late')
  assert.notEqual(swarm.plan.parentOf(memberId('late')), 'slow')
  swarm.runUntilWhole()
})

test('a participant that is as fast as its children keeps its place', () => {
  const swarm = new ModelSwarm({ size: 1000 * PIECE_BYTES })
  swarm.join('has', { whole: true })
  for (const name of ['0', '1', '2', '3']) swarm.join(name)
  const before = swarm.instructions.length
  swarm.runUntilWhole()
  assert.ok(swarm.instructions.length - before <= 6, `${swarm.instructions.length - before} instructions`)
})

test('a participant that gives more slowly than it takes loses its children', () => {
  const swarm = chain(6, { size: 2000 * PIECE_BYTES })
  const isBehindOne = (name: string): boolean => swarm.plan.parentOf(memberId(name)) === '1'
  for (let at = 0; at < 60 && ['2', '3', '4', '5'].some(isBehindOne); at += 1) {
    for (const [id, member] of swarm.members) {
      member.takes = isBehindOne(id) ? 1 : Number.POSITIVE_INFINITY
    }
    swarm.runRound()
  }
  assert.ok(!['2', '3', '4', '5'].some(isBehindOne))
})
