import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { followFlight } from '../../../../src/fetch/flight/follow.ts'
import { Deferred } from '../../../../src/lib/async/deferred.ts'
import { CHECKPOINT_INTERVAL_BYTES } from '../../../../src/oci/checkpoints.ts'
import { Failure } from '../../../../src/ports/failure.ts'
import { checkpointsOf } from '../../../../testkit/memory/digests.ts'
import { MemoryStore } from '../../../../testkit/memory/memory-store.ts'
import {
  type Attempt,
  aborted,
  diesAt,
  pour,
  ScriptedSource,
  sends,
} from '../../../../testkit/registries/scripted-source.ts'
import {
  never,
  pull,
  readWhole,
  setUpFlights,
  twoTurns,
  wantOf,
  whenFlight,
  wrongFrom,
} from '../../support/flights.ts'
import { contributor, peer, upstream } from '../../support/peers.ts'

test('bytes of peers are not released while they are given up', async () => {
  const bytes = randomBytes(30 * CHECKPOINT_INTERVAL_BYTES)
  const { flights } = setUpFlights([
    peer('one', async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      intake.vouch(0, checkpointsOf(bytes))
      await pour(intake, bytes, 3 * CHECKPOINT_INTERVAL_BYTES)
      const { flight } = flights.join(wantOf(bytes))
      await whenFlight(flights, flight, () => flight.released === 3 * CHECKPOINT_INTERVAL_BYTES)
      await pour(intake, bytes, 9 * CHECKPOINT_INTERVAL_BYTES)
      throw new Failure('absent', 'it falls to upstream')
    }),
    upstream(sends(bytes)),
  ])
  const { flight } = flights.join(wantOf(bytes))
  assert.deepEqual(await pull(flights, flight.want), bytes)
})

test('bytes of peers that nobody vouches for are released when all bytes are verified', async () => {
  const bytes = randomBytes(500_000)
  const hold = new Deferred<void>()
  const { flights } = setUpFlights([
    peer('one', async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      await pour(intake, bytes, 400_000)
      await hold.promise
      await pour(intake, bytes)
    }),
  ])
  const { flight } = flights.join(wantOf(bytes))
  const content = await followFlight(flight, { signal: never })
  const first = content.readable(0, { signal: never })
  await whenFlight(flights, flight, () => flight.position >= 400_000)
  await twoTurns()
  assert.equal(flight.released, 0)
  assert.equal(flight.checkpoints().length, 0)
  hold.resolve()
  assert.equal(await first, bytes.length)
  assert.ok((await readWhole(content)).equals(bytes))
  assert.deepEqual(flight.checkpoints(), checkpointsOf(bytes))
  assert.deepEqual(flight.checkpoints(6), checkpointsOf(bytes).subarray(6 * 16))
})

test('bytes of peers are released as far as somebody vouches for them, whether bytes or checkpoints come first', async () => {
  const bytes = randomBytes(500_000)
  const checkpoints = checkpointsOf(bytes)
  const steps = [new Deferred<void>(), new Deferred<void>(), new Deferred<void>()]
  const { flights } = setUpFlights([
    peer('one', async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      await pour(intake, bytes, 200_000)
      await steps[0]?.promise
      intake.vouch(0, checkpoints.subarray(0, 32))
      await steps[1]?.promise
      intake.vouch(2, checkpoints.subarray(32))
      await steps[2]?.promise
      await pour(intake, bytes)
    }),
  ])
  const { flight } = flights.join(wantOf(bytes))
  const body = pull(flights, flight.want)
  await whenFlight(flights, flight, () => flight.position >= 200_000)
  assert.equal(flight.released, 0)
  steps[0]?.resolve()
  await whenFlight(flights, flight, () => flight.released > 0)
  assert.equal(flight.released, 2 * CHECKPOINT_INTERVAL_BYTES)
  assert.deepEqual(flight.checkpoints(), checkpoints.subarray(0, 32))
  steps[1]?.resolve()
  await whenFlight(flights, flight, () => flight.released > 2 * CHECKPOINT_INTERVAL_BYTES)
  assert.equal(flight.released, 3 * CHECKPOINT_INTERVAL_BYTES)
  steps[2]?.resolve()
  assert.ok((await body).equals(bytes))
})

test('bytes that nobody vouches for hold back the bytes that upstream brings after them', async () => {
  const bytes = randomBytes(800_000)
  const hold = new Deferred<void>()
  const { flights } = setUpFlights([
    new ScriptedSource('first', [diesAt(bytes, 200_000)]),
    peer('one', diesAt(bytes, 400_000)),
    upstream(async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      await pour(intake, bytes, bytes.length - 1)
      await hold.promise
      await pour(intake, bytes)
    }),
  ])
  const { flight } = flights.join(wantOf(bytes))
  const body = pull(flights, flight.want)
  await whenFlight(
    flights,
    flight,
    () => flight.position === bytes.length - 1 && flight.checkpoints().length > 0,
  )
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(flight.released, 200_000)
  hold.resolve()
  assert.ok((await body).equals(bytes))
})

test('a peer that has brought nothing holds back none of the bytes that upstream brings', async () => {
  const bytes = randomBytes(500_000)
  const hold = new Deferred<void>()
  const { flights } = setUpFlights([
    peer('one', async () => {
      throw new Failure('absent', 'not here')
    }),
    upstream(async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      await pour(intake, bytes, 400_000)
      await hold.promise
      await pour(intake, bytes)
    }),
  ])
  const { flight } = flights.join(wantOf(bytes))
  const body = pull(flights, flight.want)
  await whenFlight(flights, flight, () => flight.released === 400_000)
  hold.resolve()
  assert.ok((await body).equals(bytes))
})

test('a peer whose attempt is over can no longer vouch or contribute', async () => {
  const bytes = randomBytes(500_000)
  const hold = new Deferred<void>()
  let late: Attempt['intake'] | undefined
  const { flights } = setUpFlights([
    peer('one', async ({ intake }) => {
      late = intake
      throw new Failure('absent', 'not here')
    }),
    upstream(async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      late?.setContributor(contributor('ghost'))
      late?.vouch(0, checkpointsOf(randomBytes(500_000)))
      await pour(intake, bytes, 400_000)
      await hold.promise
      await pour(intake, bytes)
    }),
  ])
  const { flight } = flights.join(wantOf(bytes))
  const body = pull(flights, flight.want)
  await whenFlight(flights, flight, () => flight.released === 400_000)
  hold.resolve()
  assert.ok((await body).equals(bytes))
})

test('after two disputes the bytes of peers are released only when all are verified', async () => {
  const bytes = randomBytes(1_500_000)
  const checkpoints = checkpointsOf(bytes)
  const hold = new Deferred<void>()
  const lies =
    (from: number) =>
    async ({ intake, signal }: Attempt) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      intake.vouch(0, checkpoints)
      await pour(intake, wrongFrom(bytes, from), from + 200_000)
      await aborted(signal)
    }
  const third = peer('third', async ({ intake }) => {
    intake.expect({ size: bytes.length, mediaType: undefined })
    intake.vouch(0, checkpoints)
    await pour(intake, bytes, 1_400_000)
    await hold.promise
    await pour(intake, bytes)
  })
  const { flights } = setUpFlights([peer('first', lies(300_000)), peer('second', lies(600_000)), third])
  const { flight } = flights.join(wantOf(bytes))
  const body = pull(flights, flight.want)
  await whenFlight(flights, flight, () => flight.position === 1_400_000)
  await twoTurns()
  assert.equal(flight.released, 0)
  assert.deepEqual(third.attempts, [9 * CHECKPOINT_INTERVAL_BYTES])
  hold.resolve()
  assert.ok((await body).equals(bytes))
})

test('after a wrong digest the bytes of the next peer are released only when all are verified', async () => {
  const bytes = randomBytes(10 * CHECKPOINT_INTERVAL_BYTES)
  const wrong = wrongFrom(bytes, 100_000)
  const hold = new Deferred<void>()
  const wrongPeer = peer('wrong', async ({ intake }) => {
    intake.expect({ size: bytes.length, mediaType: undefined })
    intake.vouch(0, checkpointsOf(wrong))
    await pour(intake, wrong)
  })
  const second = peer('second', async ({ intake }) => {
    intake.expect({ size: bytes.length, mediaType: undefined })
    intake.vouch(0, checkpointsOf(bytes))
    await pour(intake, bytes, 600_000)
    await hold.promise
    await pour(intake, bytes)
  })
  const { flights } = setUpFlights([wrongPeer, second])
  const { flight } = flights.join(wantOf(bytes))
  await whenFlight(flights, flight, () => second.attempts.length > 0 && flight.position === 600_000)
  await twoTurns()
  assert.deepEqual(second.attempts, [0])
  assert.equal(flight.released, 0)
  const body = pull(flights, flight.want)
  hold.resolve()
  assert.ok((await body).equals(bytes))
})

test('bytes that an earlier run has left are released when somebody vouches for them', async () => {
  const bytes = randomBytes(600_000)
  const want = wantOf(bytes)
  const steps = [new Deferred<void>(), new Deferred<void>()]
  const store = new MemoryStore()
  store.partials.set(want.digest, bytes.subarray(0, 300_000))
  const { flights } = setUpFlights(
    [
      peer('one', async ({ intake }) => {
        intake.expect({ size: bytes.length, mediaType: undefined })
        await steps[0]?.promise
        intake.vouch(0, checkpointsOf(bytes))
        await steps[1]?.promise
        await pour(intake, bytes)
      }),
    ],
    { store },
  )
  const { flight } = flights.join(want)
  const body = pull(flights, flight.want)
  await whenFlight(flights, flight, () => flight.size !== undefined)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(flight.released, 0)
  steps[0]?.resolve()
  await whenFlight(flights, flight, () => flight.released === 4 * CHECKPOINT_INTERVAL_BYTES)
  steps[1]?.resolve()
  assert.ok((await body).equals(bytes))
})

test('bytes of a pass-through content are released as far as somebody vouches for them', async () => {
  const bytes = randomBytes(3_000_000)
  const { flights } = setUpFlights(
    [
      peer('one', async ({ intake }) => {
        intake.expect({ size: bytes.length, mediaType: undefined })
        intake.vouch(0, checkpointsOf(bytes))
        await pour(intake, bytes)
      }),
    ],
    { store: new MemoryStore({ limitBytes: 1000 }) },
  )
  assert.ok((await pull(flights, wantOf(bytes))).equals(bytes))
})
