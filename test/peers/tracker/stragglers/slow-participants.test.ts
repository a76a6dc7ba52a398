import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ModelSwarm, PIECE_BYTES } from '../model-swarm.ts'

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
