import assert from 'node:assert/strict'
import type { Flight } from '../../../src/fetch/flight/flight.ts'
import type { FlightPolicy } from '../../../src/fetch/flight/flight-policy.ts'
import type { Source } from '../../../src/ports/source.ts'
import { MemoryStore } from '../../../testkit/memory/memory-store.ts'
import { setUpFlights } from './flights.ts'

const LIMIT_BYTES = 100_000

/** Flights into a store that passes blobs of more than 100,000 bytes through. */
export function setUpPassThrough(
  sources: readonly Source[],
  {
    store = new MemoryStore({ limitBytes: LIMIT_BYTES }),
    policy = {},
  }: { store?: MemoryStore; policy?: Partial<FlightPolicy> } = {},
): ReturnType<typeof setUpFlights> {
  return setUpFlights(sources, { store, policy })
}

/** Resolves when the window in memory is full, so that no byte comes any more before a reader moves. */
export async function sourceStopped(flight: Flight): Promise<void> {
  for (let last = -1; last !== flight.position; ) {
    last = flight.position
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
}

export function assertNothingLeft(store: MemoryStore): void {
  assert.equal(store.incomingCount, 0)
  assert.equal(store.stored.size, 0)
  assert.equal(store.partials.size, 0)
  assert.equal(store.reserved.size, 0)
}
