import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { followFlight } from '../../../src/fetch/flight/follow.ts'
import { Deferred } from '../../../src/lib/async/deferred.ts'
import { Failure } from '../../../src/ports/failure.ts'
import { MemoryStore } from '../../../testkit/memory/memory-store.ts'
import { aborted, fails, pour, ScriptedSource, sends } from '../../../testkit/registries/scripted-source.ts'
import { flightEnd, never, openContent, pull, readWhole, setUpFlights, wantOf } from '../support/flights.ts'
import { setUpPassThrough as setUp } from '../support/pass-through.ts'

test('a flight brings a blob once for twenty clients, whole to each, and stores it', async () => {
  const bytes = randomBytes(1_000_000)
  const source = new ScriptedSource('registry', [sends(bytes)])
  const { flights, store } = setUpFlights([source])
  const want = wantOf(bytes)
  const end = flightEnd(want.digest)
  const bodies = await Promise.all(Array.from({ length: 20 }, () => pull(flights, want)))
  for (const body of bodies) assert.ok(body.equals(bytes))
  assert.deepEqual(source.attempts, [0])
  assert.equal((await end).waiters, 20)
  assert.ok(store.stored.has(want.digest))
  assert.equal(flights.get(want.digest), undefined)
  assert.equal(store.incomingCount, 0)
})

test('a flight serves an empty blob', async () => {
  const bytes = Buffer.alloc(0)
  const { flights, store } = setUpFlights([new ScriptedSource('registry', [sends(bytes)])])
  const want = wantOf(bytes)
  const end = flightEnd(want.digest)
  assert.equal((await pull(flights, want)).length, 0)
  await end
  assert.ok(store.stored.has(want.digest))
})

test('a flight goes on when its first client has left, and stores the blob', async () => {
  const bytes = randomBytes(500_000)
  const rest = new Deferred<void>()
  const { flights, store } = setUpFlights([
    new ScriptedSource('registry', [
      async ({ intake }) => {
        intake.expect({ size: bytes.length, mediaType: undefined })
        await pour(intake, bytes, 100_000)
        await rest.promise
        await pour(intake, bytes)
      },
    ]),
  ])
  const want = wantOf(bytes)
  const end = flightEnd(want.digest)
  const leaving = new AbortController()
  const { flight } = flights.join(want)
  const first = await followFlight(flight, { signal: leaving.signal })
  const second = pull(flights, want)
  const waiting = first.readable(400_000, { signal: leaving.signal })
  leaving.abort()
  await assert.rejects(async () => waiting)
  await first.close()
  rest.resolve()
  assert.ok((await second).equals(bytes))
  assert.equal((await end).error, undefined)
  assert.ok(store.stored.has(want.digest))
})

test('a flight continues after the bytes that an earlier run has left', async () => {
  const bytes = randomBytes(300_000)
  const want = wantOf(bytes)
  const store = new MemoryStore()
  store.partials.set(want.digest, bytes.subarray(0, 120_000))
  const source = new ScriptedSource('registry', [sends(bytes)])
  assert.ok((await pull(setUpFlights([source], { store }).flights, want)).equals(bytes))
  assert.deepEqual(source.attempts, [120_000])
})

test('a flight asks no source when an earlier run has left all bytes', async () => {
  const bytes = randomBytes(300_000)
  const want = wantOf(bytes)
  const store = new MemoryStore()
  store.partials.set(want.digest, bytes)
  const source = new ScriptedSource('registry', [sends(bytes)])
  assert.ok((await pull(setUpFlights([source], { store }).flights, want)).equals(bytes))
  assert.deepEqual(source.attempts, [])
})

test('all readers of a flight that fails get the same failure', async () => {
  const bytes = randomBytes(10)
  const gone = new Failure('absent', 'no such blob')
  const { flights, store } = setUpFlights([new ScriptedSource('registry', [fails(gone)])])
  const want = wantOf(bytes)
  const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => pull(flights, want)))
  for (const outcome of outcomes) assert.equal(outcome.status === 'rejected' && outcome.reason, gone)
  assert.equal(store.incomingCount, 0)
  assert.equal(flights.get(want.digest), undefined)
})

test('a flight fails when no source says the size in time', async () => {
  const { flights } = setUpFlights([new ScriptedSource('silent', [({ signal }) => aborted(signal)])], {
    policy: { sizeTimeoutMs: 50 },
  })
  await assert.rejects(pull(flights, wantOf(randomBytes(10))), { code: 'stalled' })
})

test('a flight fails when the disk fails, and leaves nothing open', async () => {
  const bytes = randomBytes(500_000)
  const store = new MemoryStore()
  const { flights } = setUpFlights([new ScriptedSource('registry', [sends(bytes)])], { store })
  store.breakDisk()
  await assert.rejects(pull(flights, wantOf(bytes)), { code: 'disk' })
  assert.equal(store.incomingCount, 0)
})

test('a slow reader reads the stored blob after the flight has ended', async () => {
  const bytes = randomBytes(500_000)
  const { flights, store } = setUpFlights([new ScriptedSource('registry', [sends(bytes)])])
  const want = wantOf(bytes)
  const end = flightEnd(want.digest)
  const slow = await followFlight(flights.join(want).flight, { signal: never })
  await end
  assert.equal(store.incomingCount, 0, 'memory for what is on its way in')
  assert.ok((await readWhole(slow)).equals(bytes))
  assert.equal(store.openContents, 0)
})

test('a flight whose content is stored does not wait for slow readers', async () => {
  const bytes = randomBytes(90_000)
  const { flights, store } = setUp([new ScriptedSource('registry', [sends(bytes)])])
  const want = wantOf(bytes)
  const end = flightEnd(want.digest)
  const slow = await openContent(flights, want)
  await end
  assert.equal(store.incomingCount, 0)
  assert.ok((await readWhole(slow)).equals(bytes))
})
