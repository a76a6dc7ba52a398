import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { publish } from '../../../src/observe/events.ts'
import { Journal } from '../../../src/observe/records/journal.ts'
import {
  flightAttempted,
  flightEnded,
  flightStarted,
  peerGuided,
  peerTransfer,
  requestEnded,
} from '../facts.ts'
import { ALPINE, digestOf } from '../memory-node.ts'

let journal: Journal

beforeEach(() => {
  journal = new Journal({ requests: 5, flights: 3 })
})

afterEach(() => journal.close())

test('the last requests for something are found, newest first', () => {
  for (const ms of [1, 2, 3]) publish('request.ended', requestEnded({ reference: 'latest', ms, bytes: ms }))
  publish('request.ended', requestEnded({ reference: 'other', ms: 4 }))
  publish('request.ended', requestEnded({ reference: undefined, repository: undefined, ms: 5 }))
  assert.deepEqual(
    journal.requests(['latest'], ALPINE, 2).map(({ ms }) => ms),
    [3, 2],
  )
  assert.deepEqual(
    journal.requests(['latest', 'other'], undefined, 9).map(({ ms }) => ms),
    [4, 3, 2, 1],
  )
  assert.deepEqual(journal.requests(['latest'], { registry: 'ghcr.io', name: 'a' }, 9), [])
})

test('only so many are remembered', () => {
  for (let ms = 0; ms < 100; ms++) publish('request.ended', requestEnded({ reference: `v${ms}`, ms }))
  const all = Array.from({ length: 100 }, (_, at) => `v${at}`)
  assert.deepEqual(
    journal.requests(all, ALPINE, 99).map(({ ms }) => ms),
    [99, 98, 97, 96, 95],
  )
})

test('the same again soon after is counted, and drives nothing else out', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 50_000 })
  publish('request.ended', requestEnded({ reference: 'rare', ms: 1 }))
  for (let ms = 1; ms <= 100; ms++) publish('request.ended', requestEnded({ reference: 'latest', ms }))
  const [entry, ...more] = journal.requests(['latest'], ALPINE, 9)
  assert.deepEqual(more, [])
  assert.deepEqual([entry?.times, entry?.ms, entry?.at], [100, 100, 50_000])
  assert.equal(journal.requests(['rare'], ALPINE, 9).length, 1)
})

test('what was answered otherwise, or later, or in another repository, stands by itself', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 50_000 })
  const ask = (more: Parameters<typeof requestEnded>[0] = {}): void =>
    publish('request.ended', requestEnded({ reference: 'latest', ...more }))
  const elsewhere = { code: 503, repository: { registry: 'ghcr.io', name: 'library/alpine' } }
  ask()
  ask({ code: 503 })
  ask(elsewhere)
  t.mock.timers.tick(999)
  ask(elsewhere)
  t.mock.timers.tick(1)
  ask(elsewhere)
  assert.deepEqual(
    journal.requests(['latest'], undefined, 9).map(({ code, times }) => [code, times]),
    [
      [503, 1],
      [503, 2],
      [503, 1],
      [200, 1],
    ],
  )
})

test('a flight is remembered with what each source did', () => {
  const error = new Error('cut off')
  publish('flight.started', flightStarted({ resumedAt: 7 }))
  assert.equal(journal.flights(digestOf('layer'), 9)[0]?.ended, undefined)
  publish('flight.attempted', flightAttempted({ source: 'a', error }))
  publish('flight.attempted', flightAttempted({ source: 'b' }))
  publish('flight.attempted', flightAttempted({ digest: digestOf('another'), source: 'c' }))
  publish('flight.ended', flightEnded({ source: 'b' }))
  const [flight, ...more] = journal.flights(digestOf('layer'), 9)
  assert.deepEqual(more, [])
  assert.equal(flight?.resumedAt, 7)
  assert.deepEqual(
    flight.attempts.map(({ source }) => source),
    ['a', 'b'],
  )
  assert.equal(flight.ended?.source, 'b')
})

test('a second flight of a digest is told from the first', () => {
  publish('flight.started', flightStarted())
  publish('flight.ended', flightEnded({ error: new Error('first') }))
  publish('flight.started', flightStarted())
  publish('flight.ended', flightEnded())
  const [second, first] = journal.flights(digestOf('layer'), 9)
  assert.equal(second?.ended?.error, undefined)
  assert.equal(first?.ended?.error?.message, 'first')
})

test('a flight that never began has ended nevertheless', () => {
  publish('flight.ended', flightEnded({ error: new Error('disk full') }))
  assert.equal(journal.flights(digestOf('layer'), 9)[0]?.ended?.error?.message, 'disk full')
})

test('flights that were forgotten while under way do not come back', () => {
  for (const name of ['a', 'b', 'c', 'd', 'e'])
    publish('flight.started', flightStarted({ digest: digestOf(name) }))
  assert.deepEqual(journal.flights(digestOf('a'), 9), [])
  publish('flight.attempted', flightAttempted({ digest: digestOf('a') }))
  assert.deepEqual(journal.flights(digestOf('a'), 9), [])
  assert.equal(journal.flights(digestOf('e'), 9).length, 1)
})

test('many sources of one flight are remembered by their last', () => {
  publish('flight.started', flightStarted())
  for (let i = 0; i < 50; i++) publish('flight.attempted', flightAttempted({ source: `s${i}` }))
  const attempts = journal.flights(digestOf('layer'), 1)[0]?.attempts
  assert.equal(attempts?.length, 10)
  assert.equal(attempts.at(-1)?.source, 's49')
})

test('a flight is remembered with what went on among peers, at most the last of it', () => {
  publish('peer.guided', peerGuided())
  publish('flight.started', flightStarted())
  publish('peer.guided', peerGuided())
  publish('peer.guided', peerGuided({ digest: digestOf('another') }))
  publish('peer.taken', peerTransfer({ bytes: 7, error: new Error('gone') }))
  const steps = journal.flights(digestOf('layer'), 1)[0]?.steps ?? []
  assert.deepEqual(
    steps.map(({ is, fact }) => [is, fact.digest]),
    [
      ['guided', digestOf('layer')],
      ['taken', digestOf('layer')],
    ],
  )
  for (let bytes = 0; bytes < 50; bytes++) publish('peer.taken', peerTransfer({ bytes }))
  publish('flight.ended', flightEnded())
  publish('peer.guided', peerGuided({ course: 'wait' }))
  assert.equal(steps.length, 20)
  const last = steps.at(-1)
  assert.ok(last?.is === 'taken' && last.fact.bytes === 49 && last.afterMs >= 0)
})
