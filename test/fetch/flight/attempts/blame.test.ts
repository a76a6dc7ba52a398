import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { CHECKPOINT_INTERVAL_BYTES } from '../../../../src/oci/checkpoints.ts'
import { Failure } from '../../../../src/ports/failure.ts'
import type { Contributor } from '../../../../src/ports/source.ts'
import { checkpointsOf } from '../../../../testkit/memory/digests.ts'
import { MemoryStore } from '../../../../testkit/memory/memory-store.ts'
import {
  aborted,
  diesAt,
  pour,
  ScriptedSource,
  sends,
} from '../../../../testkit/registries/scripted-source.ts'
import { flightEnd, pull, setUpFlights, wantOf, wrongBytesEvents, wrongFrom } from '../../support/flights.ts'
import { contributor, peer, upstream } from '../../support/peers.ts'

test('of two peers with the same name the wrong one is blamed, and the source is asked for another peer', async (t) => {
  const bytes = randomBytes(1_000_000)
  const signals: AbortSignal[] = []
  const network = peer(
    'network',
    async ({ intake, signal }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      intake.vouch(0, checkpointsOf(bytes))
      signals.push(signal)
      intake.setContributor(contributor('good'))
      await pour(intake, bytes, 300_000)
      intake.setContributor(contributor('bad'))
      await pour(intake, wrongFrom(bytes, 400_000), 600_000)
      await aborted(signal)
    },
    async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      intake.setContributor(contributor('good'))
      await pour(intake, bytes)
    },
  )
  const culpritsSeen: Contributor[] = []
  network.blame = (culprits) => void culpritsSeen.push(...culprits)
  const spare = upstream(sends(bytes))
  const { flights } = setUpFlights([network, spare])
  const want = wantOf(bytes)
  const events = wrongBytesEvents(t, want.digest)
  assert.ok((await pull(flights, want)).equals(bytes))
  assert.deepEqual(network.attempts, [0, 6 * CHECKPOINT_INTERVAL_BYTES])
  assert.deepEqual(spare.attempts, [])
  assert.deepEqual(
    events.map(({ source }) => source),
    ['node'],
  )
  assert.deepEqual(culpritsSeen, [contributor('bad')])
  const reason: unknown = signals[0]?.reason
  assert.ok(reason instanceof Failure && reason.code === 'corrupt' && reason.details.source === 'node')
})

test('right bytes are stored, and nobody is blamed, although the last checkpoint was wrong', async (t) => {
  const bytes = randomBytes(10 * CHECKPOINT_INTERVAL_BYTES)
  const wrongCheckpoints = Buffer.from(checkpointsOf(bytes))
  wrongCheckpoints.fill(7, 9 * 16)
  const { flights } = setUpFlights([
    peer('right', async ({ intake }) => {
      intake.expect({ size: bytes.length, mediaType: undefined })
      intake.vouch(0, wrongCheckpoints)
      await pour(intake, bytes)
    }),
  ])
  const want = wantOf(bytes)
  const events = wrongBytesEvents(t, want.digest)
  assert.ok((await pull(flights, want)).equals(bytes))
  assert.deepEqual(events, [])
})

test('wrong bytes that nobody vouched for are blamed on peers, not on upstream', async (t) => {
  const bytes = randomBytes(500_000)
  const rightSource = upstream(sends(bytes))
  const { flights } = setUpFlights([peer('wrong', diesAt(wrongFrom(bytes, 1000), 200_000)), rightSource])
  const want = wantOf(bytes)
  const events = wrongBytesEvents(t, want.digest)
  assert.ok((await pull(flights, want)).equals(bytes))
  assert.deepEqual(rightSource.attempts, [200_000, 0])
  assert.deepEqual(
    events.map(({ source }) => source),
    ['wrong'],
  )
})

test('wrong bytes of an earlier run are cut off and blamed on nobody', async (t) => {
  const bytes = randomBytes(600_000)
  const want = wantOf(bytes)
  const events = wrongBytesEvents(t, want.digest)
  const store = new MemoryStore()
  store.partials.set(want.digest, wrongFrom(bytes, 200_000).subarray(0, 400_000))
  const source = peer('one', async ({ intake }) => {
    intake.expect({ size: bytes.length, mediaType: undefined })
    intake.vouch(0, checkpointsOf(bytes))
    await pour(intake, bytes)
  })
  const { flights } = setUpFlights([source], { store })
  assert.ok((await pull(flights, want)).equals(bytes))
  assert.deepEqual(source.attempts, [400_000, 3 * CHECKPOINT_INTERVAL_BYTES])
  assert.deepEqual(events, [])
})

test('a source is not blamed for wrong bytes of an earlier run', async () => {
  const bytes = randomBytes(300_000)
  const want = wantOf(bytes)
  const store = new MemoryStore()
  store.partials.set(want.digest, randomBytes(120_000))
  const source = new ScriptedSource('registry', [sends(bytes)])
  const { flights } = setUpFlights([source], { store })
  const end = flightEnd(want.digest)
  await pull(flights, want).catch(() => {})
  assert.equal((await end).error, undefined)
  assert.deepEqual(source.attempts, [120_000, 0])
  assert.ok(store.stored.has(want.digest))
})
