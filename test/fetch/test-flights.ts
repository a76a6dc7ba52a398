import { afterEach } from 'node:test'
import type { FlightPolicy } from '../../src/fetch/flight/flight-policy.ts'
import { Flights } from '../../src/fetch/flight/flights.ts'
import type { Source, Want } from '../../src/ports/source.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import type { MemoryStore } from '../../testkit/memory/memory-store.ts'

const begun: Flights[] = []

afterEach(async () => {
  // A timer of a transfer that is still ending would outlive a clock that the next test mocks.
  for (const flights of begun.splice(0)) await flights.stop()
})

/** Flights into a store in memory, which are stopped after the test. */
export function newFlights(sources: readonly Source[], store: MemoryStore, policy: FlightPolicy): Flights {
  const flights = new Flights({
    store,
    sources: () => sources,
    policy,
    confirm: async () => {},
    describe: async () => ({ mediaType: undefined, references: [], subject: undefined }),
    limit: 100,
  })
  begun.push(flights)
  return flights
}

export function wantOf(bytes: Uint8Array, kind: 'blob' | 'manifest' = 'blob'): Want {
  return { digest: digestOf(bytes), kind, repository: { registry: 'docker.io', name: 'library/alpine' } }
}
