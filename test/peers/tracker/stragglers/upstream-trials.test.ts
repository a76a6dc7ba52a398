import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClearedFetchers } from '../../../../src/peers/tracker/stragglers/upstream-trials.ts'
import { ModelSwarm, memberId, PIECE_BYTES } from '../model-swarm.ts'

const PIECES = 2000
/** Bytes per second of so many pieces in each round. */
const rateOf = (pieces: number): number => pieces * 4 * PIECE_BYTES

interface Link {
  /** The most pieces that the link carries in a round. */
  readonly pieces: number
  /** The best rate that the member says it has received, in pieces per round; the truth when the key is missing. */
  readonly says?: number | undefined
}

/** Member `0` asks upstream, `1` takes from `0`, and so on. */
function swarmOf(links: readonly Link[], clearedFetchers?: ClearedFetchers): ModelSwarm {
  const swarm = new ModelSwarm({
    size: PIECES * PIECE_BYTES,
    ...(clearedFetchers ? { clearedFetchers } : {}),
  })
  for (const [at, link] of links.entries()) {
    const { pieces, says } = 'says' in link ? link : { pieces: link.pieces, says: link.pieces }
    swarm.join(`${at}`, says === undefined ? {} : { best: rateOf(says) })
    const member = swarm.member(`${at}`)
    member.takes = pieces
    member.gives = pieces
  }
  return swarm
}

/** `upstream`: how many pieces upstream sends to one member in a round. */
function runSeconds(swarm: ModelSwarm, seconds: number, upstream: number): void {
  for (let at = 0; at < 4 * seconds; at += 1) swarm.runRound(upstream)
}

const fetchers = (swarm: ModelSwarm): string[] =>
  swarm.instructions.filter((instruction) => instruction.do === 'fetch').map(({ to }) => to)

const SLOW: Link = { pieces: 4 }
const FAST: Link = { pieces: 32 }

test('a fetcher whose link is full hands over to a participant that has received much more, and becomes the end of the chain', () => {
  const swarm = swarmOf([SLOW, FAST, FAST, FAST])
  runSeconds(swarm, 3, 40)
  assert.deepEqual(fetchers(swarm), ['0', '1'])
  assert.equal(swarm.plan.parentOf(memberId('0')), '3')
  const rounds = swarm.runUntilWhole()
  assert.ok(rounds < PIECES / SLOW.pieces, `${rounds}`)
  assert.ok(swarm.upstreamBytes < swarm.size + 10 * PIECE_BYTES, `${swarm.upstreamBytes / swarm.size}`)
  assert.deepEqual(fetchers(swarm), ['0', '1'])
})

test('the fastest participant becomes the next fetcher, wherever it is in the chain', () => {
  const swarm = swarmOf([SLOW, SLOW, { pieces: 10 }, FAST, SLOW])
  runSeconds(swarm, 7, 40)
  assert.deepEqual(fetchers(swarm), ['0', '3'])
  assert.equal(swarm.plan.parentOf(memberId('2')), '3')
})

test('when upstream is slow, the fetcher keeps its role', () => {
  for (const upstream of [1, 4, 16, 20]) {
    const swarm = swarmOf([FAST, FAST, { pieces: 32, says: 200 }])
    runSeconds(swarm, 20, upstream)
    assert.deepEqual(fetchers(swarm), ['0'], `${upstream}`)
    swarm.runUntilWhole()
    assert.equal(swarm.upstreamBytes, swarm.size)
  }
})

test('a fetcher keeps its role when the rates of the fetcher, or of all others, are unknown', () => {
  const silent: Link = { pieces: 4, says: undefined }
  for (const links of [
    [silent, FAST, FAST],
    [SLOW, { pieces: 32, says: undefined }, silent],
    [SLOW, { pieces: 32, says: 7 }, SLOW],
  ]) {
    const swarm = swarmOf(links)
    runSeconds(swarm, 20, 40)
    assert.deepEqual(fetchers(swarm), ['0'])
  }
})

test('a fetcher that will soon be complete keeps its role', () => {
  const swarm = swarmOf([SLOW, FAST, FAST])
  const size = 4 * SLOW.pieces * 7
  const small = new ModelSwarm({ size: size * PIECE_BYTES })
  for (const [at, { pieces }] of [SLOW, FAST, FAST].entries()) {
    small.join(`${at}`, { best: rateOf(pieces) })
    small.member(`${at}`).takes = pieces
  }
  small.runUntilWhole()
  assert.deepEqual(fetchers(small), ['0'])
  runSeconds(swarm, 4, 40)
  assert.equal(fetchers(swarm).length, 2)
})

test('a fetcher keeps its role when its children take more slowly than it does', () => {
  const swarm = swarmOf([SLOW, { pieces: 1 }, { pieces: 1, says: 32 }])
  runSeconds(swarm, 20, 40)
  assert.deepEqual(fetchers(swarm), ['0'])
})

test('a trial fetcher that is no faster keeps the role, and the former fetcher is cleared for later plans', () => {
  const clearedFetchers = new ClearedFetchers()
  const swarm = swarmOf([SLOW, { pieces: 4, says: 32 }, { pieces: 4, says: 16 }], clearedFetchers)
  runSeconds(swarm, 7, 40)
  assert.equal(fetchers(swarm)[1], '1')
  swarm.runUntilWhole()
  assert.ok(fetchers(swarm).length <= 3, `${fetchers(swarm)}`)
  const next = swarmOf([SLOW, FAST, FAST], clearedFetchers)
  runSeconds(next, 20, 40)
  assert.deepEqual(fetchers(next), ['0'])
})

test('a trial fetcher that is slower hands back, and its claimed rate is not believed again', () => {
  const liar: Link = { pieces: 0.5, says: 1000 }
  const swarm = swarmOf([SLOW, { pieces: 32, says: 2 }, { pieces: 32, says: 2 }])
  swarm.join('liar', { best: rateOf(1000) })
  const member = swarm.member('liar')
  runSeconds(swarm, 3, 40)
  assert.deepEqual(fetchers(swarm), ['0', 'liar'])
  Object.assign(member, { takes: liar.pieces, gives: liar.pieces })
  runSeconds(swarm, 4, 40)
  assert.deepEqual(fetchers(swarm), ['0', 'liar', '0'])
  swarm.leave('liar')
  swarm.join('liar', { best: rateOf(1000) })
  runSeconds(swarm, 20, 40)
  assert.deepEqual(fetchers(swarm), ['0', 'liar', '0'])
})

test('however many members claim false rates, there are two trials at most', () => {
  const swarm = swarmOf([SLOW, SLOW, SLOW, ...Array.from({ length: 9 }, () => ({ pieces: 4, says: 1000 }))])
  for (let at = 3; at < 12; at += 1) {
    const member = swarm.member(`${at}`)
    // The member takes from its parent as fast as all others do, but gets next to nothing from upstream.
    member.fetches = 0.1
  }
  const rounds = swarm.runUntilWhole()
  assert.equal(fetchers(swarm).length, 5)
  assert.ok(rounds < PIECES / SLOW.pieces + 4 * 2 * 4 + 40, `${rounds}`)
})

test('when upstream fails the trial fetcher, the former fetcher goes on', () => {
  const swarm = swarmOf([SLOW, FAST])
  runSeconds(swarm, 3, 40)
  swarm.tell({ is: 'failed', id: memberId('1') })
  assert.deepEqual(fetchers(swarm), ['0', '1', '0'])
  runSeconds(swarm, 20, 40)
  assert.deepEqual(fetchers(swarm), ['0', '1', '0'])
})
