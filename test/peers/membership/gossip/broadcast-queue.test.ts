import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MemberId } from '../../../../src/peers/identity/member.ts'
import { BroadcastQueue } from '../../../../src/peers/membership/gossip/broadcast-queue.ts'

const idOf = (at: number): MemberId => at.toString(16).padStart(32, '0') as MemberId
const [ann, bob] = [idOf(1), idOf(2)]

/** The kinds of the broadcasts of each round, until the queue is empty. */
function roundsOf(queue: BroadcastQueue): string[][] {
  const rounds: string[][] = []
  while (queue.size > 0) rounds.push(queue.takeRound().map(({ kind }) => kind))
  return rounds
}

test('a heartbeat is sent in one round, and any other change in four', () => {
  for (const kind of ['record', 'refutation', 'suspect', 'goodbye'] as const) {
    const queue = new BroadcastQueue()
    queue.add(ann, kind)
    queue.add(bob, 'heartbeat')
    assert.deepEqual(roundsOf(queue), [[kind, 'heartbeat'], [kind], [kind], [kind]])
  }
})

test('a later change of a member replaces an earlier one, but a heartbeat does not replace a record', () => {
  const queue = new BroadcastQueue()
  queue.add(ann, 'suspect')
  queue.add(ann, 'refutation')
  assert.deepEqual(roundsOf(queue), Array(4).fill(['refutation']))
  queue.add(ann, 'record')
  queue.takeRound()
  queue.add(ann, 'heartbeat', bob)
  const [broadcast] = queue.takeRound()
  assert.deepEqual([broadcast?.kind, broadcast?.from, queue.size], ['record', bob, 1])
})

test('one round contains no more than five messages full of records, and the next one begins with the others', () => {
  const queue = new BroadcastQueue()
  for (let at = 0; at < 150; at += 1) queue.add(idOf(at), 'record')
  queue.add(bob, 'goodbye')
  const [first, second] = [queue.takeRound(), queue.takeRound()]
  assert.equal(first.filter(({ kind }) => kind === 'record').length, 100)
  assert.ok(first.some(({ kind }) => kind === 'goodbye'))
  assert.equal(second[0]?.id, idOf(101))
})
