import type { Digest } from '../../oci/digest.ts'
import type { BlobStore, Incoming } from '../../ports/blob-store.ts'
import { Failure } from '../../ports/failure.ts'
import type { Source, Want } from '../../ports/source.ts'
import { AheadRoom } from './ahead/ahead-room.ts'
import { RequestSlots } from './ahead/request-slots.ts'
import type { Description } from './description.ts'
import { Flight } from './flight.ts'
import type { FlightPolicy } from './flight-policy.ts'

export interface FlightsOptions {
  readonly store: BlobStore
  readonly sources: (want: Want) => readonly Source[]
  readonly policy: FlightPolicy
  /** Throws unless the content is in the repository from which it is wanted. */
  readonly confirm: (want: Want) => Promise<void>
  /** Called before a source is asked for the content. */
  readonly beforeReading?: (want: Want) => Promise<void>
  readonly describe: (want: Want, incoming: Incoming, mediaType: string | undefined) => Promise<Description>
  /** How many flights there may be at a time. A client that wants another one gets 503. */
  readonly limit: number
}

/** Each request for a part of a content has 512 KiB of memory. */
const MOST_RANGE_REQUESTS = 32
/** What the bytes ahead of all flights may use of the disk. */
const MOST_AHEAD_BYTES = 1024 * 1024 * 1024
/** A client that gets 503 is asked to come back after this time. */
const RETRY_AFTER_MS = 1000

/** The flights of this node, at most one for each digest. */
export class Flights {
  readonly #options: FlightsOptions
  readonly #flights = new Map<Digest, Flight>()
  readonly #rangeSlots = new RequestSlots(MOST_RANGE_REQUESTS)
  readonly #aheadRoom = new AheadRoom(MOST_AHEAD_BYTES)
  readonly #runs = new Set<Promise<void>>()
  readonly #watchers = new Map<Digest, Set<() => void>>()
  #endedCount = 0
  #stopped: Failure | undefined

  constructor(options: FlightsOptions) {
    this.#options = options
  }

  /** How many flights have ended. If it grows while somebody asks the store, the store must be asked again. */
  get endedCount(): number {
    return this.#endedCount
  }

  /** Whether a flight may begin on behalf of a peer: half of the flights are for the clients of this node. */
  get hasRoomForPeers(): boolean {
    return this.#flights.size < this.#options.limit / 2
  }

  get(digest: Digest): Flight | undefined {
    return this.#flights.get(digest)
  }

  list(): Flight[] {
    return [...this.#flights.values()]
  }

  /** Gives the flight of this digest, and begins it when there is none. */
  join(want: Want): { readonly flight: Flight; readonly collapsed: boolean } {
    const running = this.#flights.get(want.digest)
    if (running !== undefined) return { flight: running, collapsed: true }
    if (this.#stopped !== undefined) throw this.#stopped
    const { limit } = this.#options
    if (this.#flights.size >= limit) {
      throw new Failure('busy', `${limit} transfers are under way already.`, { retryAfterMs: RETRY_AFTER_MS })
    }
    const flight = new Flight({
      ...this.#options,
      want,
      rangeSlots: this.#rangeSlots,
      aheadRoom: this.#aheadRoom,
      sources: this.#options.sources(want),
      confirm: () => this.#options.confirm(want),
      beforeReading: async () => this.#options.beforeReading?.(want),
      describe: (incoming, mediaType) => this.#options.describe(want, incoming, mediaType),
      onEnd: () => {
        this.#flights.delete(want.digest)
        this.#endedCount += 1
      },
      onChange: () => {
        for (const watcher of this.#watchers.get(want.digest) ?? []) watcher()
      },
    })
    this.#flights.set(want.digest, flight)
    const run = flight.run().finally(() => this.#runs.delete(run))
    this.#runs.add(run)
    return { flight, collapsed: false }
  }

  /**
   * Calls `listener` when more or fewer bytes of this digest may be passed on, and at the end of its flight. Gives back
   * the function that ends this.
   */
  watch(digest: Digest, listener: () => void): () => void {
    const watchers = this.#watchers.get(digest) ?? new Set()
    this.#watchers.set(digest, watchers)
    // A listener that is given twice is called twice, so each call adds a function of its own.
    const watcher = (): void => listener()
    watchers.add(watcher)
    return () => {
      watchers.delete(watcher)
      if (watchers.size === 0 && this.#watchers.get(digest) === watchers) this.#watchers.delete(digest)
    }
  }

  /** Ends all flights. The bytes that have come stay as the start of a later flight. */
  async stop(): Promise<void> {
    this.#stopped = new Failure('stopping', 'The agent is shutting down.')
    for (const flight of this.#flights.values()) flight.abort(this.#stopped)
    await Promise.all(this.#runs)
  }
}
