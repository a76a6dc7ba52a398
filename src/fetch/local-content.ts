import { CHECKPOINT_BYTES } from '../oci/checkpoints.ts'
import type { Digest } from '../oci/digest.ts'
import { isSameRepository, type Repository } from '../oci/names/repository.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { Content } from '../ports/content.ts'
import { Failure } from '../ports/failure.ts'
import type { ContentName, LocalContent, LocalState } from '../ports/local-content.ts'
import type { Want } from '../ports/source.ts'
import type { Flight } from './flight/flight.ts'
import type { Flights } from './flight/flights.ts'
import { followFlight } from './flight/follow.ts'
import type { KnownNames } from './known-names/known-names.ts'

/** What is in the store, and the transfers under way. */
export class LocalContentLookup implements LocalContent {
  readonly #store: BlobStore
  readonly #flights: Flights
  readonly #belonging: KnownNames

  constructor(store: BlobStore, flights: Flights, belonging: KnownNames) {
    this.#store = store
    this.#flights = flights
    this.#belonging = belonging
  }

  state(named: ContentName): Promise<LocalState | undefined> {
    const { digest } = named
    return this.#find<LocalState>(
      named,
      ({ released, readers, size }) => ({
        isComplete: false,
        availableBytes: released,
        size: readers.knownHead?.size ?? size,
        mediaType: readers.knownHead?.mediaType,
      }),
      async () => {
        const facts = await this.#store.facts(digest)
        if (facts === undefined) return undefined
        const { size, mediaType } = facts
        return { isComplete: true, availableBytes: size, size, mediaType }
      },
    )
  }

  open(named: ContentName, options: { signal: AbortSignal }): Promise<Content | undefined> {
    return this.#find<Content>(
      named,
      (flight) => followFlight(flight, options),
      () => this.#store.open(named.digest),
    )
  }

  checkpoints(digest: Digest, first = 0): Promise<Uint8Array | undefined> {
    return this.#find<Uint8Array>(
      { digest, repository: undefined },
      (flight) => flight.checkpoints(first),
      async () => (await this.#store.checkpoints(digest))?.subarray(first * CHECKPOINT_BYTES),
    )
  }

  async confirm(want: Want): Promise<void> {
    const { digest, repository } = want
    const flight = this.#flights.get(digest)
    if (flight !== undefined && isOf(flight, repository)) return
    const isHere = flight !== undefined || (await this.#store.facts(digest)) !== undefined
    if (isHere) await this.#belonging.check(want)
  }

  async fetch(want: Want): Promise<void> {
    if ((await this.state(want))?.isComplete === true) return
    await this.confirm(want)
    if ((await this.state(want))?.isComplete === true) return
    if (this.#flights.get(want.digest) === undefined && !this.#flights.hasRoomForPeers) {
      throw new Failure('busy', 'Too many transfers are under way already.')
    }
    const failure = await this.#flights.join(want).flight.ended
    if (failure !== undefined) throw failure
  }

  watch(digest: Digest, listener: () => void): () => void {
    return this.#flights.watch(digest, listener)
  }

  async #find<Found>(
    { digest, repository }: ContentName,
    underWay: (flight: Flight) => Found | Promise<Found>,
    stored: () => Promise<Found | undefined>,
  ): Promise<Found | undefined> {
    let isKnown = repository === undefined
    for (;;) {
      const flight = this.#flights.get(digest)
      if (flight !== undefined && (isKnown || isOf(flight, repository))) return underWay(flight)
      const before = this.#flights.endedCount
      let found: Found | undefined
      if (repository === undefined || isKnown) found = await stored()
      else {
        // Names are looked up only for what is here.
        const isHere = flight !== undefined || (await this.#store.facts(digest)) !== undefined
        isKnown = isHere && (await this.#belonging.isKnown({ repository, digest }))
        if (isKnown) continue
      }
      // A flight that ended meanwhile may have stored it just after the store was asked.
      if (found !== undefined || this.#flights.endedCount === before) return found
    }
  }
}

function isOf({ want }: Flight, repository: Repository | undefined): boolean {
  return repository !== undefined && isSameRepository(want.repository, repository)
}
