import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Reception } from '../../../src/peers/transfer/download-rate.ts'

const KIB = 1024
const MINUTE = 60_000

function receptionAt(start = 5000) {
  const time = { now: start }
  const reception = new Reception(() => time.now)
  /** So many bytes each hundredth of a second. */
  const receive = (bytes: number, ms: number): void => {
    for (let at = 0; at < ms; at += 10) {
      time.now += 10
      reception.add(bytes)
    }
  }
  return { reception, receive, time }
}

const isAbout = (rate: number | undefined, expected: number): void =>
  assert.ok(rate !== undefined && Math.abs(rate / expected - 1) < 0.02, `${rate}, not ${expected}`)

test('the fastest of late is told, and what it is now', () => {
  const { reception, receive } = receptionAt()
  assert.equal(reception.best, undefined)
  receive(20 * KIB, 2100)
  isAbout(reception.best, 2000 * KIB)
  receive(5 * KIB, 3000)
  isAbout(reception.best, 2000 * KIB)
  isAbout(reception.now, 500 * KIB)
})

test('what comes in a short time is told when nothing more has come', () => {
  const { reception, receive, time } = receptionAt()
  receive(40 * KIB, 400)
  assert.equal(reception.best, undefined)
  time.now += 300
  isAbout(reception.best, 4000 * KIB)
})

test('pauses are no part of it', () => {
  const { reception, receive, time } = receptionAt()
  for (let at = 0; at < 5; at += 1) {
    receive(10 * KIB, 500)
    time.now += 5000
  }
  isAbout(reception.best, 1000 * KIB)
  assert.equal(reception.now, undefined)
})

test('little tells nothing, but that it comes slowly for long does', () => {
  const { reception, receive, time } = receptionAt()
  for (let at = 0; at < 100; at += 1) {
    receive(2 * KIB, 400)
    time.now += 1000
  }
  time.now += 10
  reception.add(10 * 1024 * KIB)
  time.now += 1000
  assert.equal(reception.best, undefined)
  receive(KIB, 4000)
  isAbout(reception.best, 100 * KIB)
})

test('it is forgotten within half an hour', () => {
  const { reception, receive, time } = receptionAt()
  receive(20 * KIB, 2000)
  time.now += 14 * MINUTE
  receive(10 * KIB, 2000)
  isAbout(reception.best, 2000 * KIB)
  time.now += 10 * MINUTE
  isAbout(reception.best, 2000 * KIB)
  time.now += 10 * MINUTE
  assert.equal(reception.best, undefined)
  receive(10 * KIB, 2000)
  isAbout(reception.best, 1000 * KIB)
})
