import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ModelSwarm, type ModelSwarmOptions, memberId, PIECE_BYTES } from './model-swarm.ts'

/** Member `0` asks upstream, `1` takes from `0`, and so on. */
function chain(count: number, options: ModelSwarmOptions = {}): ModelSwarm {
  const swarm = new ModelSwarm(options)
  for (let at = 0; at < count; at += 1) swarm.join(`${at}`)
  return swarm
}

const fetch = (to: string) => ({ to: memberId(to), do: 'fetch' })
const take = (to: string, from: string) => ({ to: memberId(to), do: 'take', from: memberId(from) })

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

test('members that join are spread over all seeders', () => {
  const swarm = new ModelSwarm()
  for (let at = 0; at < 6; at += 1) swarm.join(`has ${at}`, { whole: true })
  for (let at = 0; at < 6; at += 1) swarm.join(`${at}`)
  assert.equal(new Set(swarm.parentsOf('0', '1', '2', '3', '4', '5')).size, 6)
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

test('a seeder that answers nobody is soon chosen as a parent no more', () => {
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

test('a participant that one child blames is not its parent again, and one that two children blame is nobody’s', () => {
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

test('a participant that the fetcher blames is nobody’s parent any more', () => {
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

test('the content enters each zone once, in whatever order the members join', () => {
  for (const names of ['abcabcabc', 'aaabbbccc', 'cabbbacca']) {
    for (const isSizeKnown of [true, false]) {
      const swarm = new ModelSwarm({ isSizeKnown })
      for (const [at, zone] of [...names].entries()) swarm.join(`${at}`, { zone })
      swarm.tell({ is: 'sized', size: swarm.size })
      const zoneOf = (id: string): string | undefined => swarm.members.get(memberId(id))?.zone
      const crossing = [...swarm.members.keys()].filter((id) => {
        const parent = swarm.plan.parentOf(id)
        return parent !== undefined && zoneOf(parent) !== zoneOf(id)
      })
      assert.equal(crossing.length, 2, `${names} ${crossing}`)
    }
  }
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

test('a source that a participant loses during a takeover is not kept', () => {
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

test('a seeder without children is preferred to one with a slow child', () => {
  const swarm = chain(3, { size: 400 * PIECE_BYTES })
  swarm.runUntilWhole()
  swarm.join('slow')
  swarm.member('slow').takes = 1
  for (let at = 0; at < 12; at += 1) swarm.runRound()
  for (const name of ['3', '4']) swarm.join(name)
  assert.equal(new Set(swarm.parentsOf('slow', '3', '4')).size, 3)
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
