import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { it } from 'node:test'
import { DEFAULT_FLIGHT_POLICY } from '../../../src/fetch/flight/flight-policy.ts'
import { Flights } from '../../../src/fetch/flight/flights.ts'
import { Failure } from '../../../src/ports/failure.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { type Attempt, pour, ScriptedSource, sends } from '../../../testkit/registries/scripted-source.ts'
import { wanted } from '../../conformance/blob-steps.ts'
import { folder, opened, published } from '../folder.ts'
import { keepInTurn, listed } from '../stored-blobs.ts'

const { signal } = new AbortController()
const MIB = 1024 * 1024

it('the size that a peer announces evicts nothing', async (t) => {
  const store = await opened(t, { path: await folder(t), maxBytes: { bytes: 40 * MIB } })
  const kept = await keepInTurn(store, 5 * MIB, 5 * MIB)
  const evicted = published(t, 'store.evicted')
  const bytes = randomBytes(MIB)
  const claims = async ({ intake }: Attempt): Promise<void> => {
    intake.expect({ size: 38 * MIB, mediaType: undefined })
    await pour(intake, bytes, 300_000)
    // An eviction would have happened by now.
    await store.gc({ toBytes: 40 * MIB, signal })
    throw new Failure('absent', 'there is no more')
  }
  const flights = new Flights({
    store: store.blobs,
    sources: () => [
      new ScriptedSource('peers', [claims], 'peer'),
      new ScriptedSource('registry', [sends(bytes)]),
    ],
    policy: DEFAULT_FLIGHT_POLICY,
    confirm: async () => {},
    describe: async () => ({ mediaType: undefined, references: [], subject: undefined }),
    limit: 10,
  })
  assert.equal(await flights.join(wanted(digestOf(bytes))).flight.ended, undefined)
  assert.deepEqual(evicted, [])
  assert.deepEqual(await listed(store), [...kept, digestOf(bytes)].sort())
})
