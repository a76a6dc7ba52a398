import { unlessAborted } from '../lib/async/abort.ts'
import type { Digest } from '../oci/digest.ts'
import { isSameRepository } from '../oci/names/repository.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { Content } from '../ports/content.ts'
import type { Registry } from '../ports/registry.ts'
import type { BlobAnswer, BlobOptions, CacheResult, HeadAnswer } from '../ports/resolver.ts'
import type { Want } from '../ports/source.ts'
import type { Flight } from './flight/flight.ts'
import type { Flights } from './flight/flights.ts'
import { followFlight } from './flight/follow.ts'
import type { KnownNames } from './known-names/known-names.ts'

export interface ContentLookupOptions {
  readonly store: BlobStore
  readonly registry: Registry
  readonly flights: Flights
  readonly knownNames: KnownNames
}

/** After this many flights for other names have failed, the next failure is the client's. */
const MAX_OTHER_FLIGHTS = 3

/** Finds content by its digest: in the store, in a flight, or else through a flight that it begins. */
export class ContentLookup {
  readonly #store: BlobStore
  readonly #registry: Registry
  readonly #flights: Flights
  readonly #knownNames: KnownNames

  constructor({ store, registry, flights, knownNames }: ContentLookupOptions) {
    this.#store = store
    this.#registry = registry
    this.#flights = flights
    this.#knownNames = knownNames
  }

  /** Opens the content, which the caller closes. */
  async open(want: Want, options: BlobOptions): Promise<BlobAnswer> {
    await this.#knownNames.checkIfInDoubt(want, options)
    let isChecked = false
    for (let otherFlights = 0; ; otherFlights += 1) {
      const stored = await this.#openStored(want.digest)
      if (stored !== undefined) {
        await this.#checkOpened(stored, want, options)
        return { content: stored, cacheResult: { kind: 'hit' } }
      }
      const running = this.#flights.get(want.digest)
      if (!isChecked && running !== undefined && !isOfRepository(running, want)) {
        await this.#knownNames.check(want, options)
        isChecked = true
        // The flight may be over by now.
        continue
      }
      const { flight, collapsed } = this.#flights.join(want)
      try {
        const content = await followFlight(flight, options)
        return { content, cacheResult: missFrom(flight, collapsed) }
      } catch (error) {
        // A flight for another repository, or for another kind of content, may fail where this one would not.
        const isOther = collapsed && (flight.want.kind !== want.kind || !isOfRepository(flight, want))
        if (!isOther || otherFlights >= MAX_OTHER_FLIGHTS || options.signal.aborted) throw error
        await unlessAborted(flight.ended, options.signal)
      }
    }
  }

  /** Gives size and type. Fetches nothing: upstream is asked with HEAD for content that this node does not have. */
  async head(want: Want, options: { signal: AbortSignal }): Promise<HeadAnswer> {
    await this.#knownNames.checkIfInDoubt(want, options)
    const facts = await this.#store.facts(want.digest)
    if (facts !== undefined) {
      await this.#knownNames.check(want, options)
      return { size: facts.size, mediaType: facts.mediaType, cacheResult: { kind: 'hit' } }
    }
    const flight = this.#flights.get(want.digest)
    const known = flight?.readers.knownHead
    if (flight !== undefined && known !== undefined) {
      if (!isOfRepository(flight, want)) await this.#knownNames.check(want, options)
      return { ...known, cacheResult: missFrom(flight, true) }
    }
    const head = await this.#registry.head(want, options)
    return { ...head, cacheResult: { kind: 'miss', from: 'upstream', collapsed: false } }
  }

  /** Closes a stored content that the repository is not known to have, and throws. */
  async #checkOpened(content: Content, want: Want, options: { signal: AbortSignal }): Promise<void> {
    if (this.#knownNames.isCached(want.repository, want.digest)) return
    try {
      await this.#knownNames.check(want, options)
    } catch (error) {
      await content.close()
      throw error
    }
  }

  /** Gives undefined when the content is not stored, or is in a flight. */
  async #openStored(digest: Digest): Promise<Content | undefined> {
    while (!this.#flights.get(digest)) {
      const before = this.#flights.endedCount
      const content = await this.#store.open(digest)
      // A flight that has ended meanwhile may have stored the content just after the store was asked.
      if (content !== undefined || this.#flights.endedCount === before) return content
    }
    return undefined
  }
}

function isOfRepository(flight: Flight, { repository }: Want): boolean {
  return isSameRepository(flight.want.repository, repository)
}

function missFrom({ mainSourceKind }: Flight, collapsed: boolean): CacheResult {
  return { kind: 'miss', from: mainSourceKind ?? 'upstream', collapsed }
}
