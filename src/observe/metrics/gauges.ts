import { readWhenScraped } from './instruments.ts'
import { type Metric, sample } from './text-format.ts'

/** Current values, which are read when Prometheus scrapes the agent. */
export interface GaugeValues {
  readonly flightsActive: number
  readonly flightWaiters: number
  readonly storeBytes: number
  readonly storeBlobs: number
  readonly evictedBytes: number
  readonly peersConnected: number
  /** Since the first start of the agent on this data folder. */
  readonly savedBytes: { readonly clients: number; readonly peers: number }
}

export function gaugeMetrics(gauges: () => GaugeValues): readonly Metric[] {
  const gauge = (name: string, help: string, read: (now: GaugeValues) => number): Metric =>
    readWhenScraped('gauge', name, help, () => read(gauges()))
  return [
    gauge(
      'leat_flights_active',
      'Transfers from outside this node that are in progress.',
      (now) => now.flightsActive,
    ),
    gauge(
      'leat_flight_waiters',
      'Requests that are reading from a transfer in progress.',
      (now) => now.flightWaiters,
    ),
    gauge('leat_store_bytes', 'Verified content bytes in the store.', (now) => now.storeBytes),
    gauge('leat_store_blobs', 'Blobs and manifests in the store.', (now) => now.storeBlobs),
    gauge(
      'leat_peers_connected',
      'Other agents of the swarm that are currently known.',
      (now) => now.peersConnected,
    ),
    readWhenScraped(
      'counter',
      'leat_evicted_bytes_total',
      'Bytes evicted to keep the store below its limit.',
      () => gauges().evictedBytes,
    ),
    {
      name: 'leat_saved_bytes_total',
      help: 'Bytes that clients and peers got without a transfer from upstream for their request.',
      type: 'counter',
      *samples() {
        const { clients, peers } = gauges().savedBytes
        yield sample(this.name, 'to="clients"', clients)
        yield sample(this.name, 'to="peers"', peers)
      },
    },
  ]
}
