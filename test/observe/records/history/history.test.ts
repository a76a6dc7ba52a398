import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { publish } from '../../../../src/observe/events.ts'
import { History, type HistoryLog, type KeptPoint } from '../../../../src/observe/records/history/history.ts'
import { flightAttempted, requestEnded } from '../../sample-events.ts'

const MINUTE_MS = 60_000
/** Ten minutes after a full quarter of an hour. */
const START = Date.UTC(2026, 0, 31, 12, 10)

class MemoryLog implements HistoryLog {
  readonly kept = new Map<string, KeptPoint>()
  isFull = false

  async write(points: readonly KeptPoint[]): Promise<void> {
    if (this.isFull) throw new Error('ENOSPC')
    for (const point of points) this.kept.set(`${point.scale} ${point.slot}`, point)
  }

  async *entries(): AsyncGenerator<KeptPoint> {
    yield* this.kept.values()
  }
}

interface Clock {
  now: number
}

async function historyOn(t: TestContext, log: MemoryLog, clock: Clock, storeBytes = () => 5) {
  const history = new History({ log, storeBytes, now: () => clock.now })
  t.after(() => history.close())
  await history.open()
  return history
}

test('bytes, requests and hits are counted by minutes, and by quarters of an hour', async (t) => {
  const clock = { now: START }
  const history = await historyOn(t, new MemoryLog(), clock)
  publish('request.ended', requestEnded({ bytes: 100 }))
  publish('request.ended', requestEnded({ bytes: 40, source: 'upstream', cacheStatus: 'leat; fwd=uri-miss' }))
  publish('flight.attempted', flightAttempted({ bytes: 40 }))
  clock.now += MINUTE_MS
  publish('request.ended', requestEnded({ bytes: 7, source: 'peer', cacheStatus: 'leat; fwd=uri-miss' }))
  const [first, second] = history.hour().points
  assert.deepEqual(first?.served, { local: 100, inflight: 0, peer: 0, objectStore: 0, upstream: 40 })
  assert.deepEqual(first.fetched, { peer: 0, objectStore: 0, upstream: 40 })
  assert.deepEqual([first.at, first.requests, first.hits, first.storeBytes], [START, 2, 1, 5])
  assert.deepEqual([second?.at, second?.served.peer], [START + MINUTE_MS, 7])
  const [quarter, ...others] = history.day().points
  assert.deepEqual(others, [])
  assert.deepEqual([quarter?.at, quarter?.requests], [START - 10 * MINUTE_MS, 3])
})

test('failed and aborted requests are counted apart, with the bytes that were sent', async (t) => {
  const history = await historyOn(t, new MemoryLog(), { now: START })
  publish('request.ended', requestEnded({ aborted: true, bytes: 3 }))
  publish('request.ended', requestEnded({ source: undefined, code: 503, error: 'no', bytes: 90 }))
  publish('request.ended', requestEnded({ source: undefined, repository: undefined, route: 'version' }))
  const [point] = history.hour().points
  assert.deepEqual([point?.requests, point?.failed, point?.served.local], [0, 2, 3])
})

test('after a restart, also within a minute, nothing is lost and nothing is counted twice', async (t) => {
  const clock = { now: START }
  const log = new MemoryLog()
  const before = await historyOn(t, log, clock)
  publish('request.ended', requestEnded({ bytes: 100 }))
  await before.close()
  clock.now += 1000
  const after = await historyOn(t, log, clock)
  publish('request.ended', requestEnded({ bytes: 10 }))
  assert.deepEqual(
    [after.hour(), after.day()].map(({ points }) => points.map(({ served }) => served.local)),
    [[110], [110]],
  )
  await after.close()
  const last = await historyOn(t, log, clock)
  assert.deepEqual(
    last.hour().points.map(({ requests }) => requests),
    [2],
  )
})

test('points of more than an hour, or a day, ago are not shown, and their slots are used again', async (t) => {
  const clock = { now: START }
  const log = new MemoryLog()
  const history = await historyOn(t, log, clock)
  for (let minute = 0; minute < 25 * 60; minute += 1) {
    publish('request.ended', requestEnded({ bytes: 1 }))
    clock.now += MINUTE_MS
  }
  assert.equal(history.hour().points.length, 60)
  assert.equal(history.day().points.length, 96)
  const day = history.day().points.reduce((sum, { requests }) => sum + requests, 0)
  assert.ok(day > 95 * 15 && day <= 96 * 15, `${day} requests in a day`)
  await history.close()
  assert.equal(log.kept.size, 60 + 96)
})

test('while nothing happens, nothing is written, and the current minute shows the store', async (t) => {
  const clock = { now: START }
  const log = new MemoryLog()
  const history = await historyOn(t, log, clock, () => 77)
  clock.now += 5 * MINUTE_MS
  assert.deepEqual(
    history.hour().points.map(({ storeBytes }) => storeBytes),
    [77],
  )
  await history.close()
  assert.equal(log.kept.size, 0)
})

test('damaged points and points in the future are ignored, and a full disk only loses points', async (t) => {
  const clock = { now: START }
  const log = new MemoryLog()
  const before = await historyOn(t, log, clock)
  publish('request.ended', requestEnded({ bytes: 100 }))
  await before.close()
  const [minute] = log.kept.values()
  assert.ok(minute !== undefined)
  log.kept.set('damaged', { ...minute, text: '[1,"x"]' })
  log.kept.set('no JSON', { ...minute, text: '{' })
  clock.now -= 2 * MINUTE_MS
  log.isFull = true
  const after = await historyOn(t, log, clock)
  assert.deepEqual(
    after.hour().points.map(({ requests }) => requests),
    [0],
  )
  publish('request.ended', requestEnded({ bytes: 1 }))
  await after.close()
})
