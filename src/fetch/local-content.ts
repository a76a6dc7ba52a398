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

/** Finds content for peers: in the store, or in a flight under way. Only `fetch` begins a flight. */
export class LocalContentLookup implements LocalContent {
  readonly #store: BlobStore
  readonly #flights: Flights
  readonly #knownNames: KnownNames

  constructor(store: BlobStore, flights: Flights, knownNames: KnownNames) {
    this.#store = store
    this.#flights = flights
    this.#knownNames = knownNames
  }

  state(name: ContentName): Promise<LocalState | undefined> {
    const { digest } = name
    return this.#find<LocalState>(
      name,
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

  open(name: ContentName, options: { signal: AbortSignal }): Promise<Content | undefined> {
    return this.#find<Content>(
      name,
      (flight) => followFlight(flight, options),
      () => this.#store.open(name.digest),
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
    if (flight !== undefined && isOfRepository(flight, repository)) return
    const isLocal = flight !== undefined || (await this.#store.facts(digest)) !== undefined
    if (isLocal) await this.#knownNames.check(want)
  }

  async fetch(want: Want): Promise<void> {
    if ((await this.state(want))?.isComplete === true) return
    await this.confirm(want)
    if ((await this.state(want))?.isComplete === true) return
    if (this.#flights.get(want.digest) === undefined && !this.#flights.hasRoomForPeers) {
      throw new Failure('busy', 'Too many transfers are under way to begin another one for a peer.')
    }
    const failure = await this.#flights.join(want).flight.ended
    if (failure !== undefined) throw failure
  }

  watch(digest: Digest, listener: () => void): () => void {
    return this.#flights.watch(digest, listener)
  }

  async #find<Found>(
    { digest, repository }: ContentName,
    inFlight: (flight: Flight) => Found | Promise<Found>,
    inStore: () => Promise<Found | undefined>,
  ): Promise<Found | undefined> {
    let isKnown = repository === undefined
    for (;;) {
      const flight = this.#flights.get(digest)
      if (flight !== undefined && (isKnown || isOfRepository(flight, repository))) return inFlight(flight)
      const before = this.#flights.endedCount
      let found: Found | undefined
      if (repository === undefined || isKnown) found = await inStore()
      else {
        // Known names are looked up only for content that this node has.
        const isLocal = flight !== undefined || (await this.#store.facts(digest)) !== undefined
        isKnown = isLocal && (await this.#knownNames.isKnown({ repository, digest }))
        if (isKnown) continue
      }
      // A flight that has ended meanwhile may have stored the content just after the store was asked.
      if (found !== undefined || this.#flights.endedCount === before) return found
    }
  }
}

function isOfRepository({ want }: Flight, repository: Repository | undefined): boolean {
  return repository !== undefined && isSameRepository(want.repository, repository)
}
