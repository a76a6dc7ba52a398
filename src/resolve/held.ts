import type { Digest } from '../oci/digest.ts'
import { MARK_BYTES } from '../oci/marks.ts'
import type { BlobStore } from './blob-store.ts'
import type { Content } from './content.ts'
import { Failure } from './failure.ts'
import type { Flight } from './flight.ts'
import type { Flights } from './flights.ts'
import { follow } from './follow.ts'
import type { Holding, Holdings } from './holdings.ts'
import type { Want } from './source.ts'

/** What is in the store, and the transfers under way. */
export class Held implements Holdings {
  readonly #store: BlobStore
  readonly #flights: Flights

  constructor(store: BlobStore, flights: Flights) {
    this.#store = store
    this.#flights = flights
  }

  look(digest: Digest): Promise<Holding | undefined> {
    return this.#find<Holding>(
      digest,
      ({ released, audience, size }) => ({
        whole: false,
        position: released,
        size: audience.told?.size ?? size,
        mediaType: audience.told?.mediaType,
      }),
      async () => {
        const facts = await this.#store.facts(digest)
        if (facts === undefined) return undefined
        const { size, mediaType } = facts
        return { whole: true, position: size, size, mediaType }
      },
    )
  }

  open(digest: Digest, options: { signal: AbortSignal }): Promise<Content | undefined> {
    return this.#find<Content>(
      digest,
      (flight) => follow(flight, options),
      () => this.#store.open(digest),
    )
  }

  marks(digest: Digest, first = 0): Promise<Uint8Array | undefined> {
    return this.#find<Uint8Array>(
      digest,
      (flight) => flight.marks(first),
      async () => (await this.#store.marks(digest))?.subarray(first * MARK_BYTES),
    )
  }

  async fetch(want: Want): Promise<void> {
    if ((await this.look(want.digest))?.whole === true) return
    if (this.#flights.get(want.digest) === undefined && !this.#flights.isForOthers) {
      throw new Failure('busy', 'Too many transfers are under way already.')
    }
    const failure = await this.#flights.join(want).flight.ended
    if (failure !== undefined) throw failure
  }

  watch(digest: Digest, listener: () => void): () => void {
    return this.#flights.watch(digest, listener)
  }

  async #find<Found>(
    digest: Digest,
    underWay: (flight: Flight) => Found | Promise<Found>,
    stored: () => Promise<Found | undefined>,
  ): Promise<Found | undefined> {
    for (;;) {
      const flight = this.#flights.get(digest)
      if (flight !== undefined) return underWay(flight)
      const before = this.#flights.ended
      const found = await stored()
      // A flight that ended meanwhile may have stored it just after the store was asked.
      if (found !== undefined || this.#flights.ended === before) return found
    }
  }
}
