import type { GaugeValues } from '../../src/observe/metrics/gauges.ts'
import { Metrics } from '../../src/observe/metrics/metrics.ts'
import type { Metric } from '../../src/observe/metrics/text-format.ts'
import { code, page, plain, table } from './markdown.ts'

/** The values of a node with everything that has metrics. */
const GAUGES: GaugeValues = {
  isReady: true,
  warmImages: { stored: 0, missing: 0 },
  flightsActive: 0,
  flightWaiters: 0,
  storeBytes: 0,
  storeBlobs: 0,
  storeLimitBytes: 0,
  pinnedBytes: 0,
  evictedBytes: 0,
  scrub: { isRunning: false, found: 0, lastEndedAt: 0 },
  peersConnected: 0,
  objectStore: { isPaused: false, waiting: 0, dropped: 0 },
  copies: [{ bucket: '', waiting: 0, copied: 0, failed: 0, dropped: 0, sentBytes: 0, savedBytes: 0 }],
  savedBytes: { clients: 0, peers: 0 },
}

/** The page on all metrics, made from those that the agent has. */
export function metricsPage(): string {
  const metrics = new Metrics({ version: '0' })
  try {
    const rows = [...metrics.all(GAUGES)].sort((a, b) => (a.name < b.name ? -1 : 1)).map(rowOf)
    return page(
      'Metrics',
      '`/metrics` at the [admin address](settings.md#admin), and at [`--metrics-listen`](settings.md#metricslisten), in the text format of Prometheus. Counters begin with 0 at each start of the agent, but for `leat_saved_bytes_total`. A metric has at most 200 combinations of label values (30 for histograms); what is beyond counts as `other`.',
      table(['metric', 'type', 'labels', ''], rows),
      'The chart has [alert rules and a dashboard](../kubernetes.md) for them, and [`deploy/prometheus`](../../deploy/README.md) an example of a scrape.',
    )
  } finally {
    metrics.close()
  }
}

function rowOf({ name, type, labels, help }: Metric): readonly string[] {
  return [code(name), type, labels.map(code).join(', '), plain(help)]
}
