import { Failure } from '../../ports/failure.ts'
import { REJECTIONS, subscribe } from '../events.ts'
import { type GaugeValues, gaugeMetrics } from './gauges.ts'
import { Counter, Gauge, Histogram, infoMetric, readWhenScraped } from './instruments.ts'
import { ProcessMetrics } from './process-metrics.ts'
import { exposition, type Metric } from './text-format.ts'

/** Counts since the start of the agent: requests, and bytes by where they came from or went to. */
export interface CounterTotals {
  readonly requests: number
  /** When a client last asked for a manifest or a blob, in milliseconds since the epoch; undefined while none has. */
  readonly lastPullAt: number | undefined
  readonly served: {
    readonly local: number
    readonly inflight: number
    readonly peer: number
    readonly objectStore: number
    readonly upstream: number
  }
  readonly fetched: { readonly peer: number; readonly objectStore: number; readonly upstream: number }
  readonly peers: { readonly in: number; readonly out: number }
  readonly objectStore: {
    readonly reads: { readonly hit: number; readonly miss: number; readonly failed: number }
    /** The mean time until the bytes of a content begin; undefined while none has begun. */
    readonly answerMs: number | undefined
    readonly sent: number
    readonly there: number
    readonly sentBytes: number
  }
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const SERVED_FROM = ['local', 'inflight', 'peer', 'object-store', 'upstream'] as const
const FETCHED_FROM = ['peer', 'object-store', 'upstream'] as const
/** The buckets reach from a manifest served from memory to a layer of several GiB over a slow connection. */
const DURATION_BUCKETS_SECONDS = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 300]

/** An upstream registry needs a round trip at least. */
const UPSTREAM_BUCKETS_SECONDS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]
const FLIGHT_OUTCOMES = ['stored', 'passed', 'failed'] as const
const TAG_OUTCOMES = ['same', 'moved', 'new', 'stale-if-error', 'gone'] as const

/** Turns the events that the agent publishes into Prometheus metrics, from construction until `close`. */
export class Metrics {
  readonly #requests = new Counter({
    name: 'leat_http_requests_total',
    help: 'Requests to the registry API, by route, method and status code.',
    labels: ['route', 'method', 'code'],
  })
  readonly #requestSeconds = new Histogram({
    name: 'leat_http_request_seconds',
    help: 'Time from the headers of a request to the end of its response.',
    labels: ['route'],
    bounds: DURATION_BUCKETS_SECONDS,
    limit: 30,
  })
  readonly #rejected = new Counter({
    name: 'leat_http_rejected_total',
    help: 'Clients that were refused or disconnected because of a limit, by reason.',
    labels: ['reason'],
  })
  readonly #served = new Counter({
    name: 'leat_served_bytes_total',
    help: 'Response body bytes sent to clients, by source.',
    labels: ['source'],
  })
  readonly #fetched = new Counter({
    name: 'leat_fetched_bytes_total',
    help: 'Content bytes fetched from outside this node, by source.',
    labels: ['source'],
  })
  readonly #upstream = new Counter({
    name: 'leat_upstream_requests_total',
    help: 'Requests to upstream registries, with or without a response.',
    labels: ['host', 'kind'],
  })
  readonly #upstreamSeconds = new Histogram({
    name: 'leat_upstream_request_duration_seconds',
    help: 'Time from a request to an upstream registry to the headers of its response, or to its failure.',
    labels: ['host'],
    bounds: UPSTREAM_BUCKETS_SECONDS,
    limit: 30,
  })
  readonly #contentRequests = new Counter({
    name: 'leat_content_requests_total',
    help: 'Requests that were answered with content, by where it came from; local means a hit.',
    labels: ['source'],
  })
  readonly #upstreamAnswers = new Counter({
    name: 'leat_upstream_answers_total',
    help: 'Responses of upstream registries, by status class; none means no response.',
    labels: ['host', 'status'],
  })
  readonly #quotaRemaining = new Gauge({
    name: 'leat_upstream_ratelimit_remaining',
    help: 'Manifest requests that an upstream registry still allows in its current window.',
    labels: ['host'],
  })
  readonly #circuitOpen = new Gauge({
    name: 'leat_upstream_circuit_open',
    help: '1 while the circuit breaker of an upstream registry is open after repeated failures.',
    labels: ['host'],
  })
  readonly #flights = new Counter({
    name: 'leat_flights_total',
    help: 'Transfers from outside this node that have ended, by outcome.',
    labels: ['kind', 'outcome'],
  })
  readonly #verifyFailures = new Counter({
    name: 'leat_verify_failures_total',
    help: 'Content that did not match its digest, by source.',
    labels: ['source'],
  })
  readonly #objectStoreReads = new Counter({
    name: 'leat_object_store_reads_total',
    help: 'Contents for which the object store was asked: hit, miss, or failed.',
    labels: ['outcome'],
  })
  readonly #objectStoreReadSeconds = new Histogram({
    name: 'leat_object_store_read_duration_seconds',
    help: 'How long the object store took to bring a content, or to say that it does not have it.',
    labels: ['outcome'],
    bounds: UPSTREAM_BUCKETS_SECONDS,
  })
  readonly #objectStoreAnswerSeconds = new Histogram({
    name: 'leat_object_store_answer_duration_seconds',
    help: 'Time until the bytes of a content of the object store begin.',
    labels: [],
    bounds: UPSTREAM_BUCKETS_SECONDS,
  })
  readonly #objectStoreUploads = new Counter({
    name: 'leat_object_store_uploads_total',
    help: 'Contents that are in the object store after an upload: sent, or there already.',
    labels: ['outcome'],
  })
  readonly #objectStoreUploadedBytes = new Counter({
    name: 'leat_object_store_uploaded_bytes_total',
    help: 'Bytes sent to the object store.',
    labels: [],
  })
  readonly #redirects = new Counter({
    name: 'leat_redirects_total',
    help: 'Redirects sent to clients of redirected hosts, by where they lead: upstream, or a bucket.',
    labels: ['host', 'target'],
  })
  readonly #redirectLookups = new Counter({
    name: 'leat_redirect_lookups_total',
    help: 'Blobs for which a bucket of a redirected host was asked, by outcome.',
    labels: ['bucket', 'outcome'],
  })
  readonly #tagRevalidations = new Counter({
    name: 'leat_tag_revalidations_total',
    help: 'Tag revalidations against upstream, by outcome.',
    labels: ['outcome'],
  })
  readonly #peerBytes = new Counter({
    name: 'leat_peer_bytes_total',
    help: 'Content bytes received from peers (in) and sent to them (out).',
    labels: ['direction'],
  })
  readonly #peerTakes = new Counter({
    name: 'leat_peer_takes_total',
    help: 'Transfers from a single peer, by outcome: done, or the reason of the failure.',
    labels: ['outcome'],
  })
  readonly #webhookEvents = new Counter({
    name: 'leat_webhook_events_total',
    help: 'Events for webhooks, by outcome: delivered, or why they were dropped.',
    labels: ['webhook', 'outcome'],
  })
  readonly #process = new ProcessMetrics()
  readonly #eventMetrics: readonly Metric[]
  readonly #subscriptions: readonly (() => void)[]
  #requestCount = 0
  #lastPullAt: number | undefined

  constructor(options: { readonly version: string }) {
    for (const reason of REJECTIONS) this.#rejected.add(0, { reason })
    for (const source of SERVED_FROM) {
      this.#served.add(0, { source })
      this.#contentRequests.add(0, { source })
    }
    for (const source of FETCHED_FROM) this.#fetched.add(0, { source })
    for (const source of ['peer', 'object-store', 'upstream', 'disk']) this.#verifyFailures.add(0, { source })
    for (const direction of ['in', 'out']) this.#peerBytes.add(0, { direction })
    this.#peerTakes.add(0, { outcome: 'done' })
    for (const outcome of FLIGHT_OUTCOMES) {
      for (const kind of ['manifest', 'blob']) this.#flights.add(0, { kind, outcome })
    }
    for (const outcome of TAG_OUTCOMES) this.#tagRevalidations.add(0, { outcome })
    for (const route of ['manifest', 'blob']) this.#requests.add(0, { route, method: 'GET', code: '200' })
    for (const outcome of ['hit', 'miss', 'failed']) this.#objectStoreReads.add(0, { outcome })
    for (const outcome of ['sent', 'there']) this.#objectStoreUploads.add(0, { outcome })
    this.#objectStoreUploadedBytes.add(0, {})
    this.#eventMetrics = this.#allEventMetrics(options.version)
    this.#subscriptions = this.#subscribe()
  }

  close(): void {
    for (const unsubscribe of this.#subscriptions) unsubscribe()
    this.#process.close()
  }

  text(gauges: GaugeValues): string {
    return exposition(this.all(gauges))
  }

  all(gauges: GaugeValues): readonly Metric[] {
    return [...this.#eventMetrics, ...gaugeMetrics(gauges), ...this.#process.metrics()]
  }

  totals(): CounterTotals {
    const served = (source: string): number => this.#served.value({ source })
    const fetched = (source: string): number => this.#fetched.value({ source })
    const peers = (direction: string): number => this.#peerBytes.value({ direction })
    return {
      requests: this.#requestCount,
      lastPullAt: this.#lastPullAt,
      served: {
        local: served('local'),
        inflight: served('inflight'),
        peer: served('peer'),
        objectStore: served('object-store'),
        upstream: served('upstream'),
      },
      fetched: { peer: fetched('peer'), objectStore: fetched('object-store'), upstream: fetched('upstream') },
      peers: { in: peers('in'), out: peers('out') },
      objectStore: this.#objectStoreTotals(),
    }
  }

  #objectStoreTotals(): CounterTotals['objectStore'] {
    const reads = (outcome: string): number => this.#objectStoreReads.value({ outcome })
    const answerSeconds = this.#objectStoreAnswerSeconds.mean({})
    return {
      reads: { hit: reads('hit'), miss: reads('miss'), failed: reads('failed') },
      answerMs: answerSeconds === undefined ? undefined : answerSeconds * 1000,
      sent: this.#objectStoreUploads.value({ outcome: 'sent' }),
      there: this.#objectStoreUploads.value({ outcome: 'there' }),
      sentBytes: this.#objectStoreUploadedBytes.value({}),
    }
  }

  #allEventMetrics(version: string): readonly Metric[] {
    return [
      infoMetric('leat_build_info', 'The version of the agent, as a label.', { version }),
      readWhenScraped(
        'gauge',
        'leat_last_pull_timestamp_seconds',
        'When a client last asked for a manifest or a blob, in seconds since the Unix epoch; 0 while none has since the start.',
        () => (this.#lastPullAt ?? 0) / 1000,
      ),
      this.#requests,
      this.#requestSeconds,
      this.#rejected,
      this.#served,
      this.#fetched,
      this.#contentRequests,
      this.#upstream,
      this.#upstreamSeconds,
      this.#upstreamAnswers,
      this.#quotaRemaining,
      this.#circuitOpen,
      this.#flights,
      this.#verifyFailures,
      this.#tagRevalidations,
      this.#peerBytes,
      this.#peerTakes,
      this.#webhookEvents,
      this.#objectStoreReads,
      this.#objectStoreReadSeconds,
      this.#objectStoreAnswerSeconds,
      this.#objectStoreUploads,
      this.#objectStoreUploadedBytes,
      this.#redirects,
      this.#redirectLookups,
    ]
  }

  #subscribe(): readonly (() => void)[] {
    return [
      subscribe('request.ended', ({ route, method, code, ms, bytes, source, reference }) => {
        this.#requestCount += 1
        if (reference !== undefined) this.#lastPullAt = Date.now()
        this.#requests.add(1, { route, method: METHODS.has(method) ? method : 'other', code: String(code) })
        this.#requestSeconds.observe(ms / 1000, { route })
        if (source === undefined) return
        this.#served.add(bytes, { source })
        this.#contentRequests.add(1, { source })
      }),
      subscribe('http.rejected', ({ reason }) => this.#rejected.add(1, { reason })),
      subscribe('flight.attempted', ({ sourceKind, bytes, ms, error }) => {
        this.#fetched.add(bytes, { source: sourceKind })
        if (sourceKind !== 'object-store') return
        const isMiss = error instanceof Failure && error.code === 'absent'
        const outcome = error === undefined ? 'hit' : isMiss ? 'miss' : 'failed'
        this.#objectStoreReads.add(1, { outcome })
        this.#objectStoreReadSeconds.observe(ms / 1000, { outcome })
      }),
      subscribe('object-store.answered', ({ ms }) => this.#objectStoreAnswerSeconds.observe(ms / 1000, {})),
      subscribe('object-store.uploaded', ({ bytes }) => {
        this.#objectStoreUploads.add(1, { outcome: bytes > 0 ? 'sent' : 'there' })
        this.#objectStoreUploadedBytes.add(bytes, {})
      }),
      subscribe('flight.ended', ({ kind, isStored, error }) => {
        const outcome = isStored ? 'stored' : error === undefined ? 'passed' : 'failed'
        this.#flights.add(1, { kind, outcome })
      }),
      subscribe('upstream.answered', ({ host, kind, status, ms }) => {
        this.#upstream.add(1, { host, kind })
        this.#upstreamSeconds.observe(ms / 1000, { host })
        const statusClass = status === undefined ? 'none' : `${Math.floor(status / 100)}xx`
        this.#upstreamAnswers.add(1, { host, status: statusClass })
      }),
      subscribe('upstream.quota', ({ host, remaining }) => this.#quotaRemaining.set(remaining, { host })),
      subscribe('upstream.circuit', ({ host, open }) => this.#circuitOpen.set(open ? 1 : 0, { host })),
      subscribe('verify.failed', ({ sourceKind }) => this.#verifyFailures.add(1, { source: sourceKind })),
      subscribe('peer.taken', ({ bytes, error }) => {
        this.#peerBytes.add(bytes, { direction: 'in' })
        this.#peerTakes.add(1, { outcome: outcomeOf(error) })
      }),
      subscribe('peer.served', ({ bytes }) => this.#peerBytes.add(bytes, { direction: 'out' })),
      subscribe('webhook.ended', ({ webhook, outcome }) => this.#webhookEvents.add(1, { webhook, outcome })),
      subscribe('redirect.answered', ({ host, target }) => this.#redirects.add(1, { host, target })),
      subscribe('redirect.looked-up', ({ bucket, outcome }) =>
        this.#redirectLookups.add(1, { bucket, outcome }),
      ),
      subscribe('tag.revalidated', ({ outcome }) => this.#tagRevalidations.add(1, { outcome })),
    ]
  }
}

function outcomeOf(error: Error | undefined): string {
  if (error === undefined) return 'done'
  return error instanceof Failure ? error.code : 'unavailable'
}
