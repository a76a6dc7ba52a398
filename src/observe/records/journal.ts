import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import { type Events, subscribe } from '../events.ts'
import { RingBuffer } from './ring-buffer.ts'

/** A request for a tag or digest. Identical requests within one second share a record. */
export type RequestRecord = Omit<Events['request.ended'], 'ms'> & {
  readonly repository: Repository
  readonly reference: string
  /** When the first of these requests ended, in milliseconds since the epoch. */
  readonly firstAt: number
  /** When the last of these requests ended, and how long it took. */
  at: number
  ms: number
  times: number
}

export interface FlightRecord {
  readonly digest: Digest
  readonly kind: 'manifest' | 'blob'
  readonly repository: Repository
  /** Bytes that were on disk already, from an earlier flight. */
  readonly resumedAt: number
  readonly startedAt: number
  /** The last attempts, at most `MAX_ATTEMPTS`. */
  readonly attempts: Events['flight.attempted'][]
  /** The last interactions with peers, at most `MAX_PEER_STEPS`. */
  readonly peerSteps: PeerStepRecord[]
  /** undefined while the flight is in progress. */
  ended: Events['flight.ended'] | undefined
}

/** Bytes that did not have the digest under which they came, or under which they were stored. */
export interface CorruptRecord {
  readonly digest: Digest
  readonly at: number
  /** The host, peer or file that had them; `disk` for the store. */
  readonly source: string
  /** The digest of the bytes, or what else is wrong with them. */
  readonly found: string
}

/** `afterMs` is measured from the start of the flight. */
export type PeerStepRecord =
  | { readonly is: 'instructed'; readonly afterMs: number; readonly event: Events['peer.instructed'] }
  | { readonly is: 'taken'; readonly afterMs: number; readonly event: Events['peer.taken'] }

/** The limits bound the memory of the records to a few MiB; `agent why` shows far fewer. */
const MAX_REQUESTS = 1000
const MAX_FLIGHTS = 500
const MAX_CORRUPT = 200
const MAX_ATTEMPTS = 10
const MAX_PEER_STEPS = 20
const MERGE_WITHIN_MS = 1000

/** Records the last requests and flights, for `agent why` and the list of recent pulls. */
export class Journal {
  readonly #requests: RingBuffer<RequestRecord>
  /** The newest record of each reference. */
  readonly #newestRequest = new Map<string, RequestRecord>()
  readonly #flights: RingBuffer<FlightRecord>
  readonly #corrupt = new RingBuffer<CorruptRecord>(MAX_CORRUPT)
  readonly #activeFlights = new Map<Digest, FlightRecord>()
  readonly #subscriptions: readonly (() => void)[]

  constructor(limits: { readonly requests?: number; readonly flights?: number } = {}) {
    this.#requests = new RingBuffer(limits.requests ?? MAX_REQUESTS)
    this.#flights = new RingBuffer(limits.flights ?? MAX_FLIGHTS)
    this.#subscriptions = [
      subscribe('request.ended', (event) => {
        const { repository, reference } = event
        // `agent why` asks by tag or digest; other requests have neither.
        if (repository !== undefined && reference !== undefined)
          this.#addRequest(event, repository, reference)
      }),
      subscribe('flight.started', (event) => this.#addFlight(event, event.resumedAt)),
      subscribe('flight.attempted', (event) => {
        const attempts = this.#activeFlights.get(event.digest)?.attempts
        attempts?.push(event)
        if (attempts !== undefined && attempts.length > MAX_ATTEMPTS) attempts.shift()
      }),
      subscribe('peer.instructed', (event) =>
        this.#addPeerStep(event.digest, (afterMs) => ({ is: 'instructed', afterMs, event })),
      ),
      subscribe('peer.taken', (event) =>
        this.#addPeerStep(event.digest, (afterMs) => ({ is: 'taken', afterMs, event })),
      ),
      subscribe('verify.failed', ({ digest, source, found }) => {
        this.#corrupt.add({ digest, at: Date.now(), source, found })
      }),
      subscribe('flight.ended', (event) => {
        // A flight that finds no room in the store ends without `flight.started`.
        const record = this.#activeFlights.get(event.digest) ?? this.#addFlight(event, 0)
        record.ended = event
        this.#activeFlights.delete(event.digest)
      }),
    ]
  }

  close(): void {
    for (const unsubscribe of this.#subscriptions) unsubscribe()
  }

  /** Gives all recorded requests, newest first. */
  lastRequests(): Iterable<RequestRecord> {
    return this.#requests.newestFirst()
  }

  /** Gives all recorded flights, newest first. */
  lastFlights(): Iterable<FlightRecord> {
    return this.#flights.newestFirst()
  }

  /** Finds requests for any of these references in `repository`, or in all repositories; newest first. */
  requests(
    references: readonly string[],
    repository: Repository | undefined,
    limit: number,
  ): RequestRecord[] {
    const key = repository === undefined ? undefined : repositoryKey(repository)
    const found: RequestRecord[] = []
    for (const record of this.#requests.newestFirst()) {
      if (found.length === limit) break
      if (!references.includes(record.reference)) continue
      if (key === undefined || repositoryKey(record.repository) === key) found.push(record)
    }
    return found
  }

  /** Finds flights of this digest, newest first. */
  flights(digest: Digest, limit: number): FlightRecord[] {
    return ofDigest(this.#flights, digest, limit)
  }

  /** Finds wrong bytes of this digest, newest first. */
  corrupt(digest: Digest, limit: number): CorruptRecord[] {
    return ofDigest(this.#corrupt, digest, limit)
  }

  /**
   * Identical requests within a second share a record. A client that repeats one request would otherwise push out all
   * other records, and a short-lived object per request is expensive for the garbage collector.
   */
  #addRequest(event: Events['request.ended'], repository: Repository, reference: string): void {
    const now = Date.now()
    const newest = this.#newestRequest.get(reference)
    if (newest !== undefined && now - newest.firstAt < MERGE_WITHIN_MS && areIdentical(newest, event)) {
      newest.times += 1
      newest.at = now
      newest.ms = event.ms
      return
    }
    const record = Object.assign({ repository, reference, firstAt: now, at: now, times: 1 }, event)
    this.#newestRequest.set(reference, record)
    const dropped = this.#requests.add(record)
    if (dropped !== undefined && this.#newestRequest.get(dropped.reference) === dropped) {
      this.#newestRequest.delete(dropped.reference)
    }
  }

  #addPeerStep(digest: Digest, stepAt: (afterMs: number) => PeerStepRecord): void {
    const record = this.#activeFlights.get(digest)
    if (record === undefined) return
    record.peerSteps.push(stepAt(Date.now() - record.startedAt))
    if (record.peerSteps.length > MAX_PEER_STEPS) record.peerSteps.shift()
  }

  #addFlight(of: Pick<FlightRecord, 'digest' | 'kind' | 'repository'>, resumedAt: number): FlightRecord {
    const { digest, kind, repository } = of
    const record: FlightRecord = {
      digest,
      kind,
      repository,
      resumedAt,
      startedAt: Date.now(),
      attempts: [],
      peerSteps: [],
      ended: undefined,
    }
    this.#activeFlights.set(digest, record)
    const dropped = this.#flights.add(record)
    if (dropped !== undefined && this.#activeFlights.get(dropped.digest) === dropped) {
      this.#activeFlights.delete(dropped.digest)
    }
    return record
  }
}

function ofDigest<Of extends { readonly digest: Digest }>(
  records: RingBuffer<Of>,
  digest: Digest,
  limit: number,
): Of[] {
  const found: Of[] = []
  for (const record of records.newestFirst()) {
    if (found.length === limit) break
    if (record.digest === digest) found.push(record)
  }
  return found
}

function areIdentical(record: RequestRecord, event: Events['request.ended']): boolean {
  return (
    record.code === event.code &&
    record.bytes === event.bytes &&
    record.source === event.source &&
    record.method === event.method &&
    record.cacheStatus === event.cacheStatus &&
    record.aborted === event.aborted &&
    record.error === event.error &&
    record.repository.name === event.repository?.name &&
    record.repository.registry === event.repository.registry
  )
}
