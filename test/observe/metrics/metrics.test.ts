import assert from 'node:assert/strict'
import { test } from 'node:test'
import { publish } from '../../../src/observe/events.ts'
import { Metrics } from '../../../src/observe/metrics/metrics.ts'
import { Failure } from '../../../src/ports/failure.ts'
import { parseExposition } from '../exposition.ts'
import { GAUGES } from '../gauge-values.ts'
import { digestOf } from '../memory-node.ts'
import { flightAttempted, flightEnded, peerTransfer, requestEnded } from '../sample-events.ts'

function withMetrics(use: (metrics: Metrics, read: () => ReturnType<typeof parseExposition>) => void): void {
  const metrics = new Metrics({ version: '1.2.3' })
  try {
    use(metrics, () => parseExposition(metrics.text(GAUGES)))
  } finally {
    metrics.close()
  }
}

test('every documented metric is in the first scrape', () => {
  withMetrics((_, read) => {
    const families = read()
    const promised: readonly [string, string][] = [
      ['leat_http_requests_total', 'counter'],
      ['leat_http_request_seconds', 'histogram'],
      ['leat_http_rejected_total', 'counter'],
      ['leat_served_bytes_total', 'counter'],
      ['leat_fetched_bytes_total', 'counter'],
      ['leat_upstream_requests_total', 'counter'],
      ['leat_flights_active', 'gauge'],
      ['leat_flight_waiters', 'gauge'],
      ['leat_store_bytes', 'gauge'],
      ['leat_store_blobs', 'gauge'],
      ['leat_store_limit_bytes', 'gauge'],
      ['leat_store_pinned_bytes', 'gauge'],
      ['leat_ready', 'gauge'],
      ['leat_warm_images', 'gauge'],
      ['leat_scrub_running', 'gauge'],
      ['leat_scrub_last_round_timestamp_seconds', 'gauge'],
      ['leat_content_requests_total', 'counter'],
      ['leat_upstream_request_duration_seconds', 'histogram'],
      ['leat_evicted_bytes_total', 'counter'],
      ['leat_verify_failures_total', 'counter'],
      ['leat_peers_connected', 'gauge'],
      ['leat_peer_bytes_total', 'counter'],
      ['leat_upstream_ratelimit_remaining', 'gauge'],
      ['process_cpu_seconds_total', 'counter'],
      ['process_resident_memory_bytes', 'gauge'],
      ['process_open_fds', 'gauge'],
      ['process_start_time_seconds', 'gauge'],
      ['nodejs_heap_size_used_bytes', 'gauge'],
      ['nodejs_eventloop_lag_p99_seconds', 'gauge'],
    ]
    for (const [name, type] of promised) assert.equal(families.get(name)?.type, type, name)
    const sample = (name: string, labels = ''): number | undefined =>
      families.get(name)?.samples.get(`${name}${labels}`)
    for (const source of ['local', 'inflight', 'peer', 'upstream']) {
      assert.equal(sample('leat_served_bytes_total', `{source="${source}"}`), 0)
    }
    for (const outcome of ['stored', 'passed', 'failed'])
      assert.equal(sample('leat_flights_total', `{kind="blob",outcome="${outcome}"}`), 0)
    for (const outcome of ['same', 'moved', 'new', 'stale-if-error', 'gone'])
      assert.equal(sample('leat_tag_revalidations_total', `{outcome="${outcome}"}`), 0)
    for (const route of ['manifest', 'blob'])
      assert.equal(sample('leat_http_requests_total', `{route="${route}",method="GET",code="200"}`), 0)
    for (const outcome of ['hit', 'miss', 'failed'])
      assert.equal(sample('leat_object_store_reads_total', `{outcome="${outcome}"}`), 0)
    for (const outcome of ['sent', 'there'])
      assert.equal(sample('leat_object_store_uploads_total', `{outcome="${outcome}"}`), 0)
    assert.equal(sample('leat_object_store_uploaded_bytes_total'), 0)
    assert.equal(sample('leat_warm_images', '{state="missing"}'), 1)
    assert.equal(sample('leat_ready'), 1)
    assert.equal(sample('leat_store_limit_bytes'), 10_000)
    assert.equal(sample('leat_store_pinned_bytes'), 1000)
    assert.equal(sample('leat_scrub_last_round_timestamp_seconds'), 1_700_000_000)
    assert.equal(sample('leat_flights_active'), 2)
    assert.equal(sample('leat_flight_waiters'), 20)
    assert.equal(sample('leat_store_bytes'), 4096)
    assert.equal(sample('leat_store_blobs'), 3)
    assert.equal(sample('leat_evicted_bytes_total'), 11)
    assert.equal(sample('leat_peers_connected'), 0)
    assert.equal(sample('leat_peer_bytes_total', '{direction="in"}'), 0)
    assert.ok((sample('process_resident_memory_bytes') ?? 0) > 10_000_000)
    assert.ok((sample('process_open_fds') ?? 0) > 2)
    assert.ok(Math.abs((sample('process_start_time_seconds') ?? 0) - Date.now() / 1000) < 600)
  })
})

test('published events change the metrics', () => {
  withMetrics((metrics, read) => {
    publish('request.ended', requestEnded({ bytes: 1000, source: 'local' }))
    publish('request.ended', requestEnded({ bytes: 500, source: 'inflight', ms: 700 }))
    publish('request.ended', requestEnded({ code: 404, source: undefined, bytes: 90, method: 'BREW' }))
    publish('flight.attempted', flightAttempted({ bytes: 700, error: new Error('cut off') }))
    publish('flight.attempted', flightAttempted({ bytes: 300 }))
    publish('flight.ended', flightEnded())
    publish('flight.ended', flightEnded({ error: new Error('no source has it') }))
    publish('upstream.answered', { host: 'ghcr.io', kind: 'manifest', method: 'GET', status: 503, ms: 3 })
    publish('upstream.answered', {
      host: 'ghcr.io',
      kind: 'manifest',
      method: 'GET',
      status: undefined,
      ms: 3,
    })
    publish('upstream.quota', {
      host: 'registry-1.docker.io',
      limit: 200,
      remaining: 7,
      windowSeconds: 21600,
    })
    publish('upstream.circuit', { host: 'ghcr.io', open: true, reason: 'it kept failing' })
    publish('verify.failed', { digest: digestOf('a'), found: 'x', source: 'ghcr.io', sourceKind: 'upstream' })
    publish('tag.revalidated', {
      repository: { registry: 'ghcr.io', name: 'a' },
      tag: 'v1',
      outcome: 'moved',
    })
    const families = read()
    const value = (name: string, labels: string): number | undefined =>
      families.get(name)?.samples.get(`${name}{${labels}}`)
    assert.equal(value('leat_http_requests_total', 'route="blob",method="GET",code="200"'), 2)
    assert.equal(value('leat_http_requests_total', 'route="blob",method="other",code="404"'), 1)
    assert.equal(
      families.get('leat_http_request_seconds')?.samples.get('leat_http_request_seconds_count{route="blob"}'),
      3,
    )
    assert.equal(value('leat_served_bytes_total', 'source="local"'), 1000)
    assert.equal(value('leat_served_bytes_total', 'source="inflight"'), 500)
    assert.equal(value('leat_fetched_bytes_total', 'source="upstream"'), 1000)
    assert.equal(value('leat_flights_total', 'kind="blob",outcome="stored"'), 1)
    assert.equal(value('leat_flights_total', 'kind="blob",outcome="failed"'), 1)
    assert.equal(value('leat_upstream_requests_total', 'host="ghcr.io",kind="manifest"'), 2)
    assert.equal(value('leat_upstream_answers_total', 'host="ghcr.io",status="5xx"'), 1)
    assert.equal(value('leat_upstream_answers_total', 'host="ghcr.io",status="none"'), 1)
    assert.equal(value('leat_upstream_ratelimit_remaining', 'host="registry-1.docker.io"'), 7)
    assert.equal(value('leat_upstream_circuit_open', 'host="ghcr.io"'), 1)
    assert.equal(value('leat_verify_failures_total', 'source="upstream"'), 1)
    assert.equal(value('leat_tag_revalidations_total', 'outcome="moved"'), 1)
    const { lastPullAt, ...totals } = metrics.totals()
    const name = 'leat_last_pull_timestamp_seconds'
    assert.equal(families.get(name)?.samples.get(name), (lastPullAt ?? 0) / 1000)
    assert.ok((lastPullAt ?? 0) > 0)
    assert.deepEqual(totals, {
      requests: 3,
      served: { local: 1000, inflight: 500, peer: 0, objectStore: 0, upstream: 0 },
      fetched: { peer: 0, objectStore: 0, upstream: 1000 },
      peers: { in: 0, out: 0 },
      objectStore: {
        reads: { hit: 0, miss: 0, failed: 0 },
        answerMs: undefined,
        sent: 0,
        there: 0,
        sentBytes: 0,
      },
    })
  })
})

test('the number of series by host is bounded', () => {
  withMetrics((_, read) => {
    for (let i = 0; i < 5000; i++) {
      publish('upstream.answered', { host: `h${i}.example`, kind: 'ping', method: 'GET', status: 200, ms: 1 })
    }
    assert.ok((read().get('leat_upstream_requests_total')?.samples.size ?? 0) <= 201)
  })
})

test('requests are counted by source, so that hits have a share, and upstream by how long it takes', () => {
  withMetrics((_, read) => {
    for (const source of ['local', 'local', 'local', 'upstream', undefined] as const)
      publish('request.ended', requestEnded({ source }))
    publish('upstream.answered', { host: 'a.example', kind: 'blob', method: 'GET', status: 200, ms: 300 })
    const families = read()
    const value = (name: string, labels: string): number | undefined =>
      families.get(name)?.samples.get(`${name}${labels}`)
    assert.equal(value('leat_content_requests_total', '{source="local"}'), 3)
    assert.equal(value('leat_content_requests_total', '{source="upstream"}'), 1)
    const seconds = families.get('leat_upstream_request_duration_seconds')?.samples
    const bucket = (le: string) =>
      seconds?.get(`leat_upstream_request_duration_seconds_bucket{host="a.example",le="${le}"}`)
    assert.deepEqual([bucket('0.25'), bucket('0.5')], [0, 1])
  })
})

test('a closed Metrics counts nothing', () => {
  const metrics = new Metrics({ version: '1.2.3' })
  metrics.close()
  publish('request.ended', requestEnded())
  assert.equal(metrics.totals().requests, 0)
})

test('transfers from and to peers are counted by bytes and by outcome', () => {
  withMetrics((metrics, read) => {
    assert.equal(read().get('leat_peer_takes_total')?.samples.get('leat_peer_takes_total{outcome="done"}'), 0)
    publish('peer.taken', peerTransfer({ bytes: 700 }))
    publish('peer.taken', peerTransfer({ bytes: 20, error: new Failure('stalled', 'nothing came') }))
    publish('peer.taken', peerTransfer({ bytes: 3, error: new Error('a mistake') }))
    publish('peer.served', peerTransfer({ bytes: 50, id: undefined, error: new Error('gone') }))
    publish('flight.attempted', flightAttempted({ source: 'peers', sourceKind: 'peer', bytes: 723 }))
    const families = read()
    const value = (name: string, labels: string): number | undefined =>
      families.get(name)?.samples.get(`${name}{${labels}}`)
    assert.equal(value('leat_peer_bytes_total', 'direction="in"'), 723)
    assert.equal(value('leat_peer_bytes_total', 'direction="out"'), 50)
    assert.equal(value('leat_fetched_bytes_total', 'source="peer"'), 723)
    for (const outcome of ['done', 'stalled', 'unavailable']) {
      assert.equal(value('leat_peer_takes_total', `outcome="${outcome}"`), 1, outcome)
    }
    assert.deepEqual(metrics.totals().peers, { in: 723, out: 50 })
  })
})

test('rejected clients are counted by reason, starting from zero', () => {
  withMetrics((_, read) => {
    const count = (reason: string) =>
      read().get('leat_http_rejected_total')?.samples.get(`leat_http_rejected_total{reason="${reason}"}`)
    assert.equal(count('seats'), 0)
    publish('http.rejected', { reason: 'seats' })
    publish('http.rejected', { reason: 'seats' })
    publish('http.rejected', { reason: 'frames' })
    assert.equal(count('seats'), 2)
    assert.equal(count('frames'), 1)
    assert.equal(count('slow'), 0)
  })
})

test('what the object store brought, and did not have, is counted, and so are uploads', () => {
  withMetrics((metrics) => {
    const absent = new Failure('absent', 'none')
    for (const error of [undefined, absent, new Failure('unavailable', 'down')]) {
      publish('flight.attempted', { ...flightAttempted({}), sourceKind: 'object-store', error })
    }
    publish('object-store.uploaded', { bucket: 's3://images', digest: digestOf('1'), bytes: 70, ms: 3 })
    publish('object-store.uploaded', { bucket: 's3://images', digest: digestOf('2'), bytes: 0, ms: 3 })
    const text = metrics.text(GAUGES)
    for (const line of [
      'leat_object_store_reads_total{outcome="hit"} 1',
      'leat_object_store_reads_total{outcome="miss"} 1',
      'leat_object_store_reads_total{outcome="failed"} 1',
      'leat_object_store_uploads_total{outcome="sent"} 1',
      'leat_object_store_uploads_total{outcome="there"} 1',
      'leat_object_store_uploaded_bytes_total 70',
    ]) {
      assert.ok(text.split('\n').includes(line), line)
    }
  })
})
