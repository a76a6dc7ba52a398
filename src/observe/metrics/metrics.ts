import { Failure } from '../../ports/failure.ts'
import { REJECTIONS, subscribe } from '../events.ts'
import { ProcessMetrics } from './process-metrics.ts'
import {
  Counter,
  constant,
  exposition,
  Gauge,
  Histogram,
  type Metric,
  readWhenScraped,
} from './prometheus.ts'

/** What is true at the moment, read when somebody looks. */
export interface Levels {
  readonly flightsActive: number
  readonly flightWaiters: number
  readonly storeBytes: number
  readonly storeBlobs: number
  readonly evictedBytes: number
  readonly peersConnected: number
}

/** Bytes since the start. */
export interface Totals {
  readonly requests: number
  readonly served: {
    readonly local: number
    readonly inflight: number
    readonly peer: number
    readonly upstream: number
  }
  readonly fetched: { readonly peer: number; readonly upstream: number }
  readonly peers: { readonly in: number; readonly out: number }
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const SERVED_FROM = ['local', 'inflight', 'peer', 'upstream'] as const
const FETCHED_FROM = ['peer', 'upstream'] as const
/** From a manifest out of memory to a layer of several GiB over a slow line. */
const SECONDS = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 300]

/** Counts what is published, from its making until `close`. */
export class Metrics {
  readonly #requests = new Counter({
    name: 'leat_http_requests_total',
    help: 'Requests to the registry API that have ended.',
    labels: ['route', 'method', 'code'],
  })
  readonly #seconds = new Histogram({
    name: 'leat_http_request_seconds',
    help: 'From the head of a request to the end of its answer.',
    labels: ['route'],
    bounds: SECONDS,
    limit: 30,
  })
  readonly #rejected = new Counter({
    name: 'leat_http_rejected_total',
    help: 'Clients that were refused or cut off for what they take or send, by reason.',
    labels: ['reason'],
  })
  readonly #served = new Counter({
    name: 'leat_served_bytes_total',
    help: 'Bytes of bodies given to clients, by where they came from.',
    labels: ['source'],
  })
  readonly #fetched = new Counter({
    name: 'leat_fetched_bytes_total',
    help: 'Bytes of content taken in from outside, by who brought them.',
    labels: ['source'],
  })
  readonly #upstream = new Counter({
    name: 'leat_upstream_requests_total',
    help: 'Requests to upstream registries, answered or not.',
    labels: ['host', 'kind'],
  })
  readonly #upstreamAnswers = new Counter({
    name: 'leat_upstream_answers_total',
    help: 'Answers of upstream registries by class of status, none for no answer.',
    labels: ['host', 'status'],
  })
  readonly #quota = new Gauge({
    name: 'leat_upstream_ratelimit_remaining',
    help: 'Manifest requests that an upstream registry still allows in its window.',
    labels: ['host'],
  })
  readonly #circuit = new Gauge({
    name: 'leat_upstream_circuit_open',
    help: 'Whether an upstream registry is left alone because it kept failing.',
    labels: ['host'],
  })
  readonly #flights = new Counter({
    name: 'leat_flights_total',
    help: 'Transfers from outside that have ended.',
    labels: ['kind', 'outcome'],
  })
  readonly #wrong = new Counter({
    name: 'leat_verify_failures_total',
    help: 'Content that was not what its digest says, by where it came from.',
    labels: ['source'],
  })
  readonly #tags = new Counter({
    name: 'leat_tag_revalidations_total',
    help: 'What asking upstream about a tag has told.',
    labels: ['outcome'],
  })
  readonly #peerBytes = new Counter({
    name: 'leat_peer_bytes_total',
    help: 'Bytes of content taken from peers, and given to them.',
    labels: ['direction'],
  })
  readonly #peerTakes = new Counter({
    name: 'leat_peer_takes_total',
    help: 'Transfers from peers, each from one, by how they ended: done, or why not.',
    labels: ['outcome'],
  })
  readonly #process = new ProcessMetrics()
  readonly #standing: readonly Metric[]
  readonly #subscriptions: readonly (() => void)[]
  #requestCount = 0

  constructor(options: { readonly version: string; readonly levels: () => Levels }) {
    for (const reason of REJECTIONS) this.#rejected.add(0, { reason })
    for (const source of SERVED_FROM) this.#served.add(0, { source })
    for (const source of FETCHED_FROM) this.#fetched.add(0, { source })
    for (const source of ['peer', 'upstream', 'disk']) this.#wrong.add(0, { source })
    for (const direction of ['in', 'out']) this.#peerBytes.add(0, { direction })
    this.#peerTakes.add(0, { outcome: 'done' })
    this.#standing = [...this.#own(options.version), ...levelMetrics(options.levels)]
    this.#subscriptions = this.#listen()
  }

  close(): void {
    for (const end of this.#subscriptions) end()
    this.#process.close()
  }

  text(): string {
    return exposition([...this.#standing, ...this.#process.metrics()])
  }

  totals(): Totals {
    const served = (source: string): number => this.#served.value({ source })
    const fetched = (source: string): number => this.#fetched.value({ source })
    const peers = (direction: string): number => this.#peerBytes.value({ direction })
    return {
      requests: this.#requestCount,
      served: {
        local: served('local'),
        inflight: served('inflight'),
        peer: served('peer'),
        upstream: served('upstream'),
      },
      fetched: { peer: fetched('peer'), upstream: fetched('upstream') },
      peers: { in: peers('in'), out: peers('out') },
    }
  }

  #own(version: string): readonly Metric[] {
    return [
      constant('leat_build_info', 'Which version this is.', { version }),
      this.#requests,
      this.#seconds,
      this.#rejected,
      this.#served,
      this.#fetched,
      this.#upstream,
      this.#upstreamAnswers,
      this.#quota,
      this.#circuit,
      this.#flights,
      this.#wrong,
      this.#tags,
      this.#peerBytes,
      this.#peerTakes,
    ]
  }

  #listen(): readonly (() => void)[] {
    return [
      subscribe('request.ended', ({ route, method, code, ms, bytes, source }) => {
        this.#requestCount += 1
        this.#requests.add(1, { route, method: METHODS.has(method) ? method : 'other', code: String(code) })
        this.#seconds.observe(ms / 1000, { route })
        if (source !== undefined) this.#served.add(bytes, { source })
      }),
      subscribe('http.rejected', ({ reason }) => this.#rejected.add(1, { reason })),
      subscribe('flight.attempted', ({ sourceKind, bytes }) =>
        this.#fetched.add(bytes, { source: sourceKind }),
      ),
      subscribe('flight.ended', ({ kind, kept, error }) => {
        const passed = error === undefined ? 'passed' : 'failed'
        this.#flights.add(1, { kind, outcome: kept ? 'stored' : passed })
      }),
      subscribe('upstream.answered', ({ host, kind, status }) => {
        this.#upstream.add(1, { host, kind })
        const known = status === undefined ? 'none' : `${Math.floor(status / 100)}xx`
        this.#upstreamAnswers.add(1, { host, status: known })
      }),
      subscribe('upstream.quota', ({ host, remaining }) => this.#quota.set(remaining, { host })),
      subscribe('upstream.circuit', ({ host, open }) => this.#circuit.set(open ? 1 : 0, { host })),
      subscribe('verify.failed', ({ sourceKind }) => this.#wrong.add(1, { source: sourceKind })),
      subscribe('peer.taken', ({ bytes, error }) => {
        this.#peerBytes.add(bytes, { direction: 'in' })
        this.#peerTakes.add(1, { outcome: outcomeOf(error) })
      }),
      subscribe('peer.served', ({ bytes }) => this.#peerBytes.add(bytes, { direction: 'out' })),
      subscribe('tag.revalidated', ({ outcome }) => this.#tags.add(1, { outcome })),
    ]
  }
}

function outcomeOf(error: Error | undefined): string {
  if (error === undefined) return 'done'
  return error instanceof Failure ? error.code : 'unavailable'
}

function levelMetrics(levels: () => Levels): readonly Metric[] {
  const gauge = (name: string, help: string, read: (now: Levels) => number): Metric =>
    readWhenScraped('gauge', name, help, () => read(levels()))
  return [
    gauge('leat_flights_active', 'Transfers from outside under way.', (now) => now.flightsActive),
    gauge('leat_flight_waiters', 'Requests that follow a transfer under way.', (now) => now.flightWaiters),
    gauge('leat_store_bytes', 'Bytes of verified content in the store.', (now) => now.storeBytes),
    gauge('leat_store_blobs', 'Blobs and manifests in the store.', (now) => now.storeBlobs),
    gauge('leat_peers_connected', 'Other agents of the swarm that are there.', (now) => now.peersConnected),
    readWhenScraped(
      'counter',
      'leat_evicted_bytes_total',
      'Bytes removed to keep the store under its limit.',
      () => levels().evictedBytes,
    ),
  ]
}
