import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SourceQueue, type SourceQueuePolicy } from '../../../../src/fetch/flight/attempts/source-queue.ts'
import { Failure } from '../../../../src/ports/failure.ts'
import type { Source } from '../../../../src/ports/source.ts'
import { peer, upstream } from '../../support/peers.ts'

const POLICY: SourceQueuePolicy = { attemptsPerSource: 2, progressBytes: 1000, retryPauseMs: 1 }
const down = new Failure('unavailable', 'no answer')

/** All sources in the order in which they are asked; empties the queue. */
function drain(queue: SourceQueue): Source[] {
  const sources: Source[] = []
  for (let { first } = queue; first !== undefined; first = queue.first) {
    sources.push(first)
    queue.drop(first)
  }
  return sources
}

test('a source that may recover is asked again after the others, as often as the policy says', () => {
  const [one, other] = [upstream(), upstream()]
  const queue = new SourceQueue([one, other], POLICY)
  queue.countFailure(one)
  queue.moveBack(one, down)
  assert.equal(queue.first, other)
  assert.equal(queue.pauseMs, undefined)
  queue.moveBack(other, new Failure('absent', 'not here'))
  assert.equal(queue.first, one)
  assert.notEqual(queue.pauseMs, undefined)
  queue.countFailure(one)
  queue.moveBack(one, down)
  assert.equal(queue.first, undefined)
})

test('after progress all sources have all their attempts again', () => {
  const source = upstream()
  const queue = new SourceQueue([source], POLICY)
  queue.countFailure(source)
  assert.equal(queue.countProgress(999), false)
  assert.notEqual(queue.pauseMs, undefined)
  assert.equal(queue.countProgress(1000), true)
  assert.equal(queue.pauseMs, undefined)
})

test('only a source that has failed too often is dropped for that', () => {
  const [one, other] = [peer('one'), upstream()]
  const queue = new SourceQueue([one, other], POLICY)
  queue.countFailure(one)
  queue.dropIfFailedTooOften(one)
  assert.equal(queue.first, one)
  queue.countFailure(one)
  queue.drop(one)
  queue.dropIfFailedTooOften(one)
  assert.deepEqual(drain(queue), [other])
})

test('a successor comes first, whether it was in the queue or not', () => {
  const [one, other, successor] = [upstream(), upstream(), peer('successor')]
  const queue = new SourceQueue([one, other], POLICY)
  queue.moveToFront(successor)
  queue.moveToFront(other)
  assert.deepEqual(drain(queue), [other, successor, one])
})

test('the last of four beginnings is upstream’s if there is an upstream', () => {
  const [one, registry] = [peer('one'), upstream()]
  for (const [sources, last] of [
    [[one, registry], [registry]],
    [[one], [one]],
  ] as const) {
    const queue = new SourceQueue(sources, POLICY)
    assert.deepEqual([queue.beginAgain(), queue.beginAgain()], [true, true])
    assert.equal(queue.first, one)
    assert.equal(queue.beginAgain(), true)
    assert.equal(queue.beginAgain(), false)
    assert.deepEqual(drain(queue), last)
  }
})
