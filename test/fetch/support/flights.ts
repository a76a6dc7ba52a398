import assert from 'node:assert/strict'
import { setMaxListeners } from 'node:events'
import { afterEach, type TestContext } from 'node:test'
import type { Flight } from '../../../src/fetch/flight/flight.ts'
import { DEFAULT_FLIGHT_POLICY, type FlightPolicy } from '../../../src/fetch/flight/flight-policy.ts'
import { Flights } from '../../../src/fetch/flight/flights.ts'
import { followFlight } from '../../../src/fetch/flight/follow.ts'
import { type Events, subscribe } from '../../../src/observe/events.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import type { BlobStore } from '../../../src/ports/blob-store.ts'
import type { Content } from '../../../src/ports/content.ts'
import type { Source, Want } from '../../../src/ports/source.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { MemoryStore } from '../../../testkit/memory/memory-store.ts'

/** No source or reader is given up because the machine is slow. Pass-through contents discard their start at once. */
const PATIENT_POLICY: FlightPolicy = {
  ...DEFAULT_FLIGHT_POLICY,
  progressTimeoutMs: 60_000,
  sizeTimeoutMs: 60_000,
  retryPauseMs: 1,
  moreReadersTimeoutMs: 1,
}
const READ_BYTES = 30_000

export const never = new AbortController().signal
setMaxListeners(0, never)

const begun: Flights[] = []

afterEach(async () => {
  // A timer of a flight that is still ending would outlive a clock that the next test mocks.
  for (const flights of begun.splice(0)) await flights.stop()
})

/** Flights into a store in memory, or into `blobs`, which are stopped after the test. */
export function setUpFlights(
  sources: readonly Source[],
  {
    store = new MemoryStore(),
    blobs = store,
    policy = {},
  }: { store?: MemoryStore; blobs?: BlobStore; policy?: Partial<FlightPolicy> } = {},
): { readonly store: MemoryStore; readonly flights: Flights } {
  const flights = new Flights({
    store: blobs,
    sources: () => sources,
    policy: { ...PATIENT_POLICY, ...policy },
    confirm: async () => {},
    describe: async () => ({ mediaType: undefined, references: [], subject: undefined }),
    limit: 100,
  })
  begun.push(flights)
  return { store, flights }
}

export function wantOf(bytes: Uint8Array, kind: 'blob' | 'manifest' = 'blob'): Want {
  return { digest: digestOf(bytes), kind, repository: { registry: 'docker.io', name: 'library/alpine' } }
}

export function openContent(flights: Flights, want: Want): Promise<Content> {
  return followFlight(flights.join(want).flight, { signal: never })
}

export async function pull(flights: Flights, want: Want): Promise<Buffer> {
  return readWhole(await openContent(flights, want))
}

/** Reads from `start` to `end`. Calls `pace` before each read, and waits for it. */
export async function readFrom(
  content: Content,
  start: number,
  end = content.size,
  pace: () => Promise<void> = async () => {},
): Promise<Buffer> {
  const parts: Buffer[] = []
  for (let offset = start; offset < end; ) {
    const readable = await content.readable(offset, { signal: never })
    await pace()
    const target = Buffer.alloc(Math.min(READ_BYTES, Math.min(readable, end) - offset))
    const length = await content.read(target, offset)
    assert.ok(length > 0, 'nothing was read where something was readable')
    parts.push(target.subarray(0, length))
    offset += length
  }
  return Buffer.concat(parts)
}

/** Reads a content from its first byte to its last one, and closes it. */
export async function readWhole(content: Content, pace?: () => Promise<void>): Promise<Buffer> {
  try {
    return await readFrom(content, 0, content.size, pace)
  } finally {
    await content.close()
  }
}

/** Resolves with the event of the end of a flight that has not ended yet. */
export function flightEnd(digest: Digest): Promise<Events['flight.ended']> {
  return new Promise((resolve) => {
    const stop = subscribe('flight.ended', (event) => {
      if (event.digest !== digest) return
      stop()
      resolve(event)
    })
  })
}

/** Resolves when the flight has come to a state, as those who watch it find out. */
export function whenFlight(flights: Flights, flight: Flight, hasState: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (!hasState()) return
      stop()
      resolve()
    }
    const stop = flights.watch(flight.want.digest, look)
    look()
  })
}

/** Gives all pending work the time of two turns of the event loop. */
export async function twoTurns(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Collects the events about wrong bytes of a digest until the end of the test. */
export function wrongBytesEvents(t: TestContext, digest: Digest): Events['verify.failed'][] {
  const events: Events['verify.failed'][] = []
  t.after(subscribe('verify.failed', (event) => event.digest === digest && events.push(event)))
  return events
}

/** Gives the same bytes, all of which are wrong from `position` on. */
export function wrongFrom(bytes: Uint8Array, position: number): Buffer {
  const wrong = Buffer.from(bytes)
  for (let at = position; at < wrong.length; at++) wrong[at] = (wrong[at] ?? 0) ^ 0x55
  return wrong
}
