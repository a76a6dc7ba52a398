import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { DEFAULT_FLIGHT_POLICY } from '../../../src/fetch/flight/flight-policy.ts'
import { Flights } from '../../../src/fetch/flight/flights.ts'
import { followFlight } from '../../../src/fetch/flight/follow.ts'
import { MemoryStore } from '../../../testkit/memory/memory-store.ts'
import { aborted, ScriptedSource, stallsAt } from '../../../testkit/registries/scripted-source.ts'
import { never, readWhole, setUpFlights, wantOf } from '../support/flights.ts'

test('stopping the flights fails their readers, leaves the bytes that have come, and lets no other flight begin', async () => {
  const bytes = randomBytes(500_000)
  const { flights, store } = setUpFlights([new ScriptedSource('registry', [stallsAt(bytes, 200_000)])])
  const want = wantOf(bytes)
  const content = await followFlight(flights.join(want).flight, { signal: never })
  await content.readable(0, { signal: never })
  const reading = readWhole(content)
  const stopped = flights.stop()
  await assert.rejects(reading, { code: 'stopping' })
  await stopped
  assert.ok((store.partials.get(want.digest)?.length ?? 0) > 0)
  assert.throws(() => flights.join(wantOf(randomBytes(5))), { code: 'stopping' })
})

test('a flight beyond the limit is refused with busy', async () => {
  const store = new MemoryStore()
  const flights = new Flights({
    store,
    sources: () => [new ScriptedSource('silent', [({ signal }) => aborted(signal)])],
    policy: DEFAULT_FLIGHT_POLICY,
    confirm: async () => {},
    describe: async () => ({ mediaType: undefined, references: [], subject: undefined }),
    limit: 2,
  })
  flights.join(wantOf(Buffer.from('a')))
  flights.join(wantOf(Buffer.from('b')))
  assert.throws(() => flights.join(wantOf(Buffer.from('c'))), { code: 'busy' })
  await flights.stop()
})
