import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import { type Events, subscribe } from '../events.ts'

/** Requests for something that has a name, all alike and soon after each other: mostly it is one. */
export type RequestEntry = Omit<Events['request.ended'], 'ms'> & {
  readonly repository: Repository
  readonly reference: string
  /** When the first of them ended, in milliseconds since the epoch. */
  readonly firstAt: number
  /** When the last of them ended, and how long it took. */
  at: number
  ms: number
  times: number
}

export interface FlightEntry {
  readonly digest: Digest
  readonly kind: 'manifest' | 'blob'
  readonly repository: Repository
  /** Bytes that an earlier attempt had left. */
  readonly resumedAt: number
  readonly startedAt: number
  /** At most the last few. */
  readonly attempts: Events['flight.attempted'][]
  /** What went on with peers, at most the last of it. */
  readonly steps: PeerEntry[]
  /** undefined while it is under way. */
  ended: Events['flight.ended'] | undefined
}

export type PeerEntry =
  | { readonly is: 'guided'; readonly afterMs: number; readonly fact: Events['peer.guided'] }
  | { readonly is: 'taken'; readonly afterMs: number; readonly fact: Events['peer.taken'] }

const MOST_REQUESTS = 1000
const ALIKE_WITHIN_MS = 1000
const MOST_FLIGHTS = 500
const MOST_ATTEMPTS = 10
const MOST_STEPS = 20

/** The last so many of something; older ones are forgotten. */
class Ring<Entry> {
  readonly #entries: Entry[] = []
  readonly #limit: number
  #oldest = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Gives back what had to be forgotten for it. */
  add(entry: Entry): Entry | undefined {
    if (this.#entries.length < this.#limit) {
      this.#entries.push(entry)
      return undefined
    }
    const forgotten = this.#entries[this.#oldest]
    this.#entries[this.#oldest] = entry
    this.#oldest = (this.#oldest + 1) % this.#limit
    return forgotten
  }

  *newestFirst(): Iterable<Entry> {
    const { length } = this.#entries
    for (let i = 1; i <= length; i++) {
      const entry = this.#entries[(this.#oldest - i + length) % length]
      if (entry !== undefined) yield entry
    }
  }
}

/** The last requests and flights, so that it can be told afterwards why one went the way it did. */
export class Journal {
  readonly #requests: Ring<RequestEntry>
  /** The newest of each reference. */
  readonly #newest = new Map<string, RequestEntry>()
  readonly #flights: Ring<FlightEntry>
  readonly #underWay = new Map<Digest, FlightEntry>()
  readonly #subscriptions: readonly (() => void)[]

  constructor(limits: { readonly requests?: number; readonly flights?: number } = {}) {
    this.#requests = new Ring(limits.requests ?? MOST_REQUESTS)
    this.#flights = new Ring(limits.flights ?? MOST_FLIGHTS)
    this.#subscriptions = [
      subscribe('request.ended', (fact) => {
        const { repository, reference } = fact
        // The rest has nothing that anybody could ask about.
        if (repository !== undefined && reference !== undefined) this.#note(fact, repository, reference)
      }),
      subscribe('flight.started', (fact) => this.#begin(fact, fact.resumedAt)),
      subscribe('flight.attempted', (fact) => {
        const attempts = this.#underWay.get(fact.digest)?.attempts
        attempts?.push(fact)
        if (attempts !== undefined && attempts.length > MOST_ATTEMPTS) attempts.shift()
      }),
      subscribe('peer.guided', (fact) =>
        this.#step(fact.digest, (afterMs) => ({ is: 'guided', afterMs, fact })),
      ),
      subscribe('peer.taken', (fact) =>
        this.#step(fact.digest, (afterMs) => ({ is: 'taken', afterMs, fact })),
      ),
      subscribe('flight.ended', (fact) => {
        // One that found no room in the store ends without having begun.
        const entry = this.#underWay.get(fact.digest) ?? this.#begin(fact, 0)
        entry.ended = fact
        this.#underWay.delete(fact.digest)
      }),
    ]
  }

  close(): void {
    for (const end of this.#subscriptions) end()
  }

  /** All that are remembered, newest first. */
  lastRequests(): Iterable<RequestEntry> {
    return this.#requests.newestFirst()
  }

  /** Requests for any of these references, newest first; in one repository, or in all. */
  requests(references: readonly string[], repository: Repository | undefined, most: number): RequestEntry[] {
    const key = repository === undefined ? undefined : repositoryKey(repository)
    const found: RequestEntry[] = []
    for (const entry of this.#requests.newestFirst()) {
      if (found.length === most) break
      if (!references.includes(entry.reference)) continue
      if (key === undefined || repositoryKey(entry.repository) === key) found.push(entry)
    }
    return found
  }

  /** Flights of this digest, newest first. */
  flights(digest: Digest, most: number): FlightEntry[] {
    const found: FlightEntry[] = []
    for (const entry of this.#flights.newestFirst()) {
      if (found.length === most) break
      if (entry.digest === digest) found.push(entry)
    }
    return found
  }

  /**
   * What is kept for a while and then forgotten is what a collector of garbage is worst at. A thousand times a second
   * the same thing is therefore one entry; and it does not drive out what else there was.
   */
  #note(fact: Events['request.ended'], repository: Repository, reference: string): void {
    const now = Date.now()
    const newest = this.#newest.get(reference)
    if (newest !== undefined && now - newest.firstAt < ALIKE_WITHIN_MS && areAlike(newest, fact)) {
      newest.times += 1
      newest.at = now
      newest.ms = fact.ms
      return
    }
    const entry = Object.assign({ repository, reference, firstAt: now, at: now, times: 1 }, fact)
    this.#newest.set(reference, entry)
    const forgotten = this.#requests.add(entry)
    if (forgotten !== undefined && this.#newest.get(forgotten.reference) === forgotten) {
      this.#newest.delete(forgotten.reference)
    }
  }

  #step(digest: Digest, told: (afterMs: number) => PeerEntry): void {
    const entry = this.#underWay.get(digest)
    if (entry === undefined) return
    entry.steps.push(told(Date.now() - entry.startedAt))
    if (entry.steps.length > MOST_STEPS) entry.steps.shift()
  }

  #begin(of: Pick<FlightEntry, 'digest' | 'kind' | 'repository'>, resumedAt: number): FlightEntry {
    const { digest, kind, repository } = of
    const entry: FlightEntry = {
      digest,
      kind,
      repository,
      resumedAt,
      startedAt: Date.now(),
      attempts: [],
      steps: [],
      ended: undefined,
    }
    this.#underWay.set(digest, entry)
    const forgotten = this.#flights.add(entry)
    if (forgotten !== undefined && this.#underWay.get(forgotten.digest) === forgotten) {
      this.#underWay.delete(forgotten.digest)
    }
    return entry
  }
}

function areAlike(entry: RequestEntry, fact: Events['request.ended']): boolean {
  return (
    entry.code === fact.code &&
    entry.bytes === fact.bytes &&
    entry.source === fact.source &&
    entry.method === fact.method &&
    entry.cacheStatus === fact.cacheStatus &&
    entry.aborted === fact.aborted &&
    entry.error === fact.error &&
    entry.repository.name === fact.repository?.name &&
    entry.repository.registry === fact.repository.registry
  )
}
