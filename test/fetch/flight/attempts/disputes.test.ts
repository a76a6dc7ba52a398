import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { TAIL_BYTES } from '../../../../src/fetch/flight/bytes/tail-gate.ts'
import { followFlight } from '../../../../src/fetch/flight/follow.ts'
import { Deferred } from '../../../../src/lib/async/deferred.ts'
import { subscribe } from '../../../../src/observe/events.ts'
import { CHECKPOINT_INTERVAL_BYTES } from '../../../../src/oci/checkpoints.ts'
import { Failure } from '../../../../src/ports/failure.ts'
import { Clock } from '../../../../testkit/clock.ts'
import { checkpointsOf } from '../../../../testkit/memory/digests.ts'
import { MemoryStore } from '../../../../testkit/memory/memory-store.ts'
import { aborted, diesAt, pour, sends } from '../../../../testkit/registries/scripted-source.ts'
import {
  never,
  pull,
  readWhole,
  setUpFlights,
  wantOf,
  whenFlight,
  wrongBytesEvents,
  wrongFrom,
} from '../../support/flights.ts'
import { contributor, peer, upstream } from '../../support/peers.ts'

test('the last bytes of peers, if nobody vouches for them, are asked for again of upstream', async () => {
  const bytes = randomBytes(800_000)
  const hold = new Deferred<void>()
  const registry = upstream(async ({ intake }) => {
    intake.expect({ size: bytes.length, mediaType: undefined })
    await pour(intake, bytes, 600_000)
    await hold.promise
    await pour(intake, bytes)
  })
  const { flights } = setUpFlights([
    peer('one', async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      intake.vouch(0, checkpointsOf(bytes).subarray(0, 64))
      await pour(intake, bytes, 300_000)
      throw new Failure('absent', 'It falls to this node to ask upstream.')
    }),
    registry,
  ])
  const { flight } = flights.join(wantOf(bytes))
  const body = pull(flights, flight.want)
  await whenFlight(flights, flight, () => flight.released === 600_000)
  assert.deepEqual(registry.attempts, [4 * CHECKPOINT_INTERVAL_BYTES])
  hold.resolve()
  assert.ok((await body).equals(bytes))
})

test('bytes of peers are not given up when nobody has vouched for any of them', async () => {
  const bytes = randomBytes(800_000)
  const registry = upstream(sends(bytes))
  const { flights } = setUpFlights([peer('one', diesAt(bytes, 300_000)), registry])
  assert.ok((await pull(flights, wantOf(bytes))).equals(bytes))
  assert.deepEqual(registry.attempts, [300_000])
})

test('wrong bytes are cut off at the last good checkpoint and blamed on their peer, and readers do not notice', async (t) => {
  const bytes = randomBytes(1_000_000)
  const good = 3 * CHECKPOINT_INTERVAL_BYTES
  const read = new Deferred<void>()
  const wrongSource = peer('wrong', async ({ intake, signal }) => {
    intake.expect({ size: bytes.length, mediaType: undefined })
    intake.vouch(0, checkpointsOf(bytes))
    await pour(intake, bytes, good)
    await read.promise
    await pour(intake, wrongFrom(bytes, good + 10_000), 500_000)
    await aborted(signal)
  })
  const rightSource = upstream(sends(bytes))
  const { flights, store } = setUpFlights([wrongSource, rightSource])
  const want = wantOf(bytes)
  const events = wrongBytesEvents(t, want.digest)
  const { flight } = flights.join(want)
  const content = await followFlight(flight, { signal: never })
  while ((await content.readable(0, { signal: never })) < good);
  read.resolve()
  assert.ok((await readWhole(content)).equals(bytes))
  assert.deepEqual(rightSource.attempts, [good])
  assert.equal(wrongSource.attempts.length, 1)
  assert.deepEqual(
    events.map(({ source, sourceKind }) => [source, sourceKind]),
    [['wrong', 'peer']],
  )
  await flight.ended
  assert.deepEqual(store.stored.get(want.digest)?.checkpoints, checkpointsOf(bytes))
})

test('wrong bytes of a peer are taken back while upstream continues after them', async (t) => {
  const bytes = randomBytes(1_500_000)
  const store = new MemoryStore({ windowBytes: 2_000_000 })
  store.pauseWrites()
  const wrongSource = peer('wrong', async ({ intake }) => {
    intake.expect({ size: bytes.length, mediaType: undefined })
    intake.vouch(0, checkpointsOf(bytes))
    await pour(intake, wrongFrom(bytes, 300_000), 700_000)
    throw new Failure('unavailable', 'the connection broke')
  })
  const rightSource = upstream(async ({ intake, signal }) => {
    intake.expect({ size: bytes.length, mediaType: undefined })
    await pour(intake, bytes, 900_000)
    store.resumeWrites()
    await aborted(signal)
  }, sends(bytes))
  const { flights } = setUpFlights([wrongSource, rightSource], { store })
  const want = wantOf(bytes)
  const events = wrongBytesEvents(t, want.digest)
  assert.ok((await pull(flights, want)).equals(bytes))
  assert.deepEqual(rightSource.attempts, [700_000, 4 * CHECKPOINT_INTERVAL_BYTES])
  assert.deepEqual(
    events.map(({ source }) => source),
    ['wrong'],
  )
})

test('wrong bytes of a peer are taken back while no source is asked', async (t) => {
  const clock = new Clock(t)
  const bytes = randomBytes(1_000_000)
  const store = new MemoryStore({ windowBytes: 2_000_000 })
  store.pauseWrites()
  const given = new Deferred<void>()
  t.after(subscribe('flight.attempted', () => given.resolve()))
  const network = peer(
    'network',
    async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      intake.vouch(0, checkpointsOf(bytes))
      intake.setContributor(contributor('bad'))
      await pour(intake, wrongFrom(bytes, 300_000), 700_000)
      throw new Failure('unavailable', 'the connection broke')
    },
    sends(bytes),
  )
  const { flights } = setUpFlights([network], { store, policy: { retryPauseMs: 50 } })
  const want = wantOf(bytes)
  const events = wrongBytesEvents(t, want.digest)
  const body = pull(flights, want)
  await given.promise
  store.resumeWrites()
  assert.ok((await clock.until(body)).equals(bytes))
  assert.deepEqual(network.attempts, [0, 4 * CHECKPOINT_INTERVAL_BYTES])
  assert.deepEqual(
    events.map(({ source }) => source),
    ['node'],
  )
})

test('right bytes are stored although somebody vouched for wrong ones', async (t) => {
  const bytes = randomBytes(1_000_000)
  const wrongCheckpoints = Buffer.from(checkpointsOf(bytes))
  wrongCheckpoints.fill(7, 4 * 16)
  const rightSource = peer('right', async ({ intake, signal }) => {
    intake.expect({ size: bytes.length, mediaType: undefined })
    intake.vouch(0, wrongCheckpoints)
    await pour(intake, bytes, 600_000)
    await aborted(signal)
  })
  const registry = upstream(sends(bytes))
  const { flights } = setUpFlights([rightSource, registry])
  const want = wantOf(bytes)
  const events = wrongBytesEvents(t, want.digest)
  assert.ok((await pull(flights, want)).equals(bytes))
  assert.deepEqual(registry.attempts, [4 * CHECKPOINT_INTERVAL_BYTES])
  assert.ok(events.every(({ sourceKind }) => sourceKind === 'peer'))
})

test('no reader gets a complete wrong body, even if somebody vouches for the wrong bytes', async (t) => {
  const bytes = randomBytes(1_000_000)
  const wrong = wrongFrom(bytes, 250_000)
  const wrongSource = peer('wrong', async ({ intake }) => {
    intake.expect({ size: bytes.length, mediaType: undefined })
    intake.vouch(0, checkpointsOf(wrong))
    await pour(intake, wrong)
  })
  const rightSource = upstream(sends(bytes))
  const { flights, store } = setUpFlights([wrongSource, rightSource])
  const want = wantOf(bytes)
  const events = wrongBytesEvents(t, want.digest)
  const { flight } = flights.join(want)
  const content = await followFlight(flight, { signal: never })
  assert.ok((await content.readable(0, { signal: never })) <= bytes.length - TAIL_BYTES)
  await assert.rejects(readWhole(content), { code: 'corrupt' })
  assert.equal(await flight.ended, undefined)
  assert.ok(Buffer.from(store.stored.get(want.digest)?.bytes ?? []).equals(bytes))
  assert.ok(events.length > 0 && events.every(({ source }) => source === 'wrong'))
})

test('wrong bytes after the last checkpoint are cut off there', async (t) => {
  const bytes = randomBytes(5 * CHECKPOINT_INTERVAL_BYTES + 20_000)
  const rightSource = upstream(sends(bytes))
  const wrongSource = peer('wrong', async ({ intake }) => {
    intake.expect({ size: bytes.length, mediaType: undefined })
    intake.vouch(0, checkpointsOf(bytes))
    await pour(intake, wrongFrom(bytes, bytes.length - 5))
  })
  const { flights } = setUpFlights([wrongSource, rightSource])
  const want = wantOf(bytes)
  const events = wrongBytesEvents(t, want.digest)
  assert.ok((await pull(flights, want)).equals(bytes))
  assert.deepEqual(rightSource.attempts, [5 * CHECKPOINT_INTERVAL_BYTES])
  assert.deepEqual(
    events.map(({ source }) => source),
    ['wrong'],
  )
})

test('a dispute costs only the peer that has brought nothing its place, not the source after it', async () => {
  const bytes = randomBytes(500_000)
  const down = async (): Promise<void> => {
    throw new Failure('unavailable', 'no answer')
  }
  const wrongSource = peer('wrong', down, down, async ({ intake, signal }) => {
    intake.expect({ size: bytes.length, mediaType: undefined })
    intake.vouch(0, checkpointsOf(bytes))
    await pour(intake, wrongFrom(bytes, 0), 200_000)
    await aborted(signal)
  })
  const registry = upstream(down, down, sends(bytes))
  const { flights } = setUpFlights([wrongSource, registry], { policy: { attemptsPerSource: 3 } })
  assert.ok((await pull(flights, wantOf(bytes))).equals(bytes))
  assert.equal(wrongSource.attempts.length, 3)
  assert.equal(registry.attempts.length, 3)
})

test('a pass-through content that nobody vouches for is brought by upstream instead of peers', async (t) => {
  const clock = new Clock(t)
  const bytes = randomBytes(3_000_000)
  const one = peer('one', sends(bytes))
  const registry = upstream(sends(bytes))
  const { flights } = setUpFlights([one, registry], {
    store: new MemoryStore({ limitBytes: 1000 }),
    policy: { progressTimeoutMs: 40 },
  })
  assert.ok((await clock.until(pull(flights, wantOf(bytes)))).equals(bytes))
  assert.deepEqual(registry.attempts, [0])
  assert.equal(one.attempts.length, 1)
})

test('wrong bytes of a pass-through content are brought again from the first byte', async () => {
  const bytes = randomBytes(3_000_000)
  const hold = new Deferred<void>()
  const wrongSource = peer('wrong', async ({ intake, signal }) => {
    intake.expect({ size: bytes.length, mediaType: undefined })
    intake.vouch(0, checkpointsOf(bytes))
    await pour(intake, bytes, 100_000)
    await hold.promise
    await pour(intake, wrongFrom(bytes, 100_000), 200_000)
    await aborted(signal)
  })
  const registry = upstream(sends(bytes))
  const { flights } = setUpFlights([wrongSource, registry], { store: new MemoryStore({ limitBytes: 1000 }) })
  const { flight } = flights.join(wantOf(bytes))
  const early = await followFlight(flight, { signal: never })
  const late = await followFlight(flight, { signal: never })
  assert.equal(await early.readable(0, { signal: never }), CHECKPOINT_INTERVAL_BYTES)
  hold.resolve()
  await assert.rejects(readWhole(early), { code: 'corrupt' })
  assert.ok((await readWhole(late)).equals(bytes))
  assert.equal(await flight.ended, undefined)
  assert.deepEqual(registry.attempts, [0])
})
