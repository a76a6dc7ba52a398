import type { Digest } from '../../oci/digest.ts'
import type { BlobStore, Incoming } from '../../ports/blob-store.ts'
import { Failure } from '../../ports/failure.ts'
import type { Source, Want } from '../../ports/source.ts'
import type { Description } from './description.ts'
import { Flight } from './flight.ts'
import type { FlightPolicy } from './flight-policy.ts'

export interface FlightsOptions {
  readonly store: BlobStore
  readonly sources: (want: Want) => readonly Source[]
  readonly policy: FlightPolicy
  /** Throws unless it is in the repository that it is wanted from. */
  readonly confirm: (want: Want) => Promise<void>
  readonly describe: (want: Want, incoming: Incoming, mediaType: string | undefined) => Promise<Description>
  /** At most so many at once; whoever wants another is told to come back. */
  readonly limit: number
}

/** All transfers under way on this node, at most one for a digest. */
export class Flights {
  readonly #options: FlightsOptions
  readonly #flights = new Map<Digest, Flight>()
  readonly #runs = new Set<Promise<void>>()
  readonly #watchers = new Map<Digest, Set<() => void>>()
  #ended = 0
  #stopped: Failure | undefined

  constructor(options: FlightsOptions) {
    this.#options = options
  }

  /** Grows whenever a flight ends: whoever looked into the store meanwhile looks again. */
  get endedCount(): number {
    return this.#ended
  }

  /** What is wanted for others, too, leaves half of them to those who ask here. */
  get hasRoomForPeers(): boolean {
    return this.#flights.size < this.#options.limit / 2
  }

  get(digest: Digest): Flight | undefined {
    return this.#flights.get(digest)
  }

  list(): Flight[] {
    return [...this.#flights.values()]
  }

  /** The flight for this digest, started now if there is none. */
  join(want: Want): { readonly flight: Flight; readonly collapsed: boolean } {
    const running = this.#flights.get(want.digest)
    if (running !== undefined) return { flight: running, collapsed: true }
    if (this.#stopped !== undefined) throw this.#stopped
    if (this.#flights.size >= this.#options.limit) {
      throw new Failure('busy', `${this.#options.limit} transfers are under way already.`, {
        retryAfterMs: 1000,
      })
    }
    const flight = new Flight({
      ...this.#options,
      want,
      sources: this.#options.sources(want),
      confirm: () => this.#options.confirm(want),
      describe: (incoming, mediaType) => this.#options.describe(want, incoming, mediaType),
      onEnd: () => {
        this.#flights.delete(want.digest)
        this.#ended += 1
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

  /** `listener` is called when there may be more or less of this digest than before, and at the end of its flight. */
  watch(digest: Digest, listener: () => void): () => void {
    const watchers = this.#watchers.get(digest) ?? new Set()
    this.#watchers.set(digest, watchers)
    // One that is given twice is two.
    const watcher = (): void => listener()
    watchers.add(watcher)
    return () => {
      watchers.delete(watcher)
      if (watchers.size === 0 && this.#watchers.get(digest) === watchers) this.#watchers.delete(digest)
    }
  }

  /** Ends them all; what has arrived stays as the start of a later attempt. */
  async stop(): Promise<void> {
    this.#stopped = new Failure('stopping', 'The agent is shutting down.')
    for (const flight of this.#flights.values()) flight.abort(this.#stopped)
    await Promise.all(this.#runs)
  }
}
