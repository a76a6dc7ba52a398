import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { publish } from '../../../src/observe/events.ts'
import { Journal } from '../../../src/observe/records/journal.ts'
import { ALPINE, digestOf } from '../memory-node.ts'
import {
  flightAttempted,
  flightEnded,
  flightStarted,
  peerInstructed,
  peerTransfer,
  requestEnded,
} from '../sample-events.ts'

let journal: Journal

beforeEach(() => {
  journal = new Journal({ requests: 5, flights: 3 })
})

afterEach(() => journal.close())

test('the last requests for a reference are found, newest first', () => {
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

test('requests beyond the limit are dropped, oldest first', () => {
  for (let ms = 0; ms < 100; ms++) publish('request.ended', requestEnded({ reference: `v${ms}`, ms }))
  const all = Array.from({ length: 100 }, (_, at) => `v${at}`)
  assert.deepEqual(
    journal.requests(all, ALPINE, 99).map(({ ms }) => ms),
    [99, 98, 97, 96, 95],
  )
})

test('identical requests within a second share a record and push out no other', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 50_000 })
  publish('request.ended', requestEnded({ reference: 'rare', ms: 1 }))
  for (let ms = 1; ms <= 100; ms++) publish('request.ended', requestEnded({ reference: 'latest', ms }))
  const [entry, ...more] = journal.requests(['latest'], ALPINE, 9)
  assert.deepEqual(more, [])
  assert.deepEqual([entry?.times, entry?.ms, entry?.at], [100, 100, 50_000])
  assert.equal(journal.requests(['rare'], ALPINE, 9).length, 1)
})

test('requests that differ in status or repository, or come a second later, have records of their own', (t) => {
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

test('the record of a flight has an attempt for each source', () => {
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

test('two flights of one digest have two records', () => {
  publish('flight.started', flightStarted())
  publish('flight.ended', flightEnded({ error: new Error('first') }))
  publish('flight.started', flightStarted())
  publish('flight.ended', flightEnded())
  const [second, first] = journal.flights(digestOf('layer'), 9)
  assert.equal(second?.ended?.error, undefined)
  assert.equal(first?.ended?.error?.message, 'first')
})

test('a flight that ends without having started has a record', () => {
  publish('flight.ended', flightEnded({ error: new Error('disk full') }))
  assert.equal(journal.flights(digestOf('layer'), 9)[0]?.ended?.error?.message, 'disk full')
})

test('a flight whose record was dropped while in progress gets no new one', () => {
  for (const name of ['a', 'b', 'c', 'd', 'e'])
    publish('flight.started', flightStarted({ digest: digestOf(name) }))
  assert.deepEqual(journal.flights(digestOf('a'), 9), [])
  publish('flight.attempted', flightAttempted({ digest: digestOf('a') }))
  assert.deepEqual(journal.flights(digestOf('a'), 9), [])
  assert.equal(journal.flights(digestOf('e'), 9).length, 1)
})

test('the record of a flight has at most its last 10 attempts', () => {
  publish('flight.started', flightStarted())
  for (let i = 0; i < 50; i++) publish('flight.attempted', flightAttempted({ source: `s${i}` }))
  const attempts = journal.flights(digestOf('layer'), 1)[0]?.attempts
  assert.equal(attempts?.length, 10)
  assert.equal(attempts.at(-1)?.source, 's49')
})

test('the record of a flight has at most its last 20 interactions with peers', () => {
  publish('peer.instructed', peerInstructed())
  publish('flight.started', flightStarted())
  publish('peer.instructed', peerInstructed())
  publish('peer.instructed', peerInstructed({ digest: digestOf('another') }))
  publish('peer.taken', peerTransfer({ bytes: 7, error: new Error('gone') }))
  const steps = journal.flights(digestOf('layer'), 1)[0]?.peerSteps ?? []
  assert.deepEqual(
    steps.map(({ is, event }) => [is, event.digest]),
    [
      ['instructed', digestOf('layer')],
      ['taken', digestOf('layer')],
    ],
  )
  for (let bytes = 0; bytes < 50; bytes++) publish('peer.taken', peerTransfer({ bytes }))
  publish('flight.ended', flightEnded())
  publish('peer.instructed', peerInstructed({ instruction: 'wait' }))
  assert.equal(steps.length, 20)
  const last = steps.at(-1)
  assert.ok(last?.is === 'taken' && last.event.bytes === 49 && last.afterMs >= 0)
})
