import { readWhenScraped } from './instruments.ts'
import { escapeValue, type Metric, sample } from './text-format.ts'

/** Values that are read when Prometheus scrapes the agent. */
export interface GaugeValues {
  readonly isReady: boolean
  /** The images that the settings keep warm, by whether they are completely stored. */
  readonly warmImages: { readonly stored: number; readonly missing: number }
  readonly flightsActive: number
  readonly flightWaiters: number
  readonly storeBytes: number
  readonly storeBlobs: number
  /** undefined while the limit is not known, or without one. */
  readonly storeLimitBytes: number | undefined
  readonly pinnedBytes: number
  readonly evictedBytes: number
  readonly scrub: {
    readonly isRunning: boolean
    readonly found: number
    readonly lastEndedAt: number | undefined
  }
  readonly peersConnected: number
  /** undefined without an object store. */
  readonly objectStore:
    | { readonly isPaused: boolean; readonly waiting: number; readonly dropped: number }
    | undefined
  /** What the agent copies into buckets. */
  readonly copies: readonly {
    readonly bucket: string
    readonly waiting: number
    readonly copied: number
    readonly failed: number
    readonly dropped: number
    readonly sentBytes: number
    readonly savedBytes: number
  }[]
  /** Since the first start of the agent on this data folder. */
  readonly savedBytes: { readonly clients: number; readonly peers: number }
}

/** The gauges with their current values. */
export function gaugeMetrics(now: GaugeValues): readonly Metric[] {
  const { scrub, warmImages, savedBytes } = now
  return [
    gauge('leat_ready', '1 while clients are served.', Number(now.isReady)),
    labelled(
      'gauge',
      'leat_warm_images',
      'Images that are kept warm, by whether they are completely stored.',
      'state',
      { stored: warmImages.stored, missing: warmImages.missing },
    ),
    gauge('leat_flights_active', 'Transfers from outside this node that are in progress.', now.flightsActive),
    gauge('leat_flight_waiters', 'Requests that are reading from a transfer in progress.', now.flightWaiters),
    gauge('leat_store_bytes', 'Verified content bytes in the store.', now.storeBytes),
    gauge('leat_store_blobs', 'Blobs and manifests in the store.', now.storeBlobs),
    gauge('leat_store_limit_bytes', 'How many bytes the store may have now.', now.storeLimitBytes),
    gauge(
      'leat_store_pinned_bytes',
      'Stored bytes that pins protect from eviction, without hosted content.',
      now.pinnedBytes,
    ),
    gauge('leat_scrub_running', '1 while a round of the scrub is under way.', Number(scrub.isRunning)),
    gauge(
      'leat_scrub_corrupt_blobs',
      'Corrupt blobs that the current round of the scrub has found.',
      scrub.found,
    ),
    gauge(
      'leat_scrub_last_round_timestamp_seconds',
      'When the last round of the scrub ended, in seconds since the Unix epoch.',
      scrub.lastEndedAt === undefined ? undefined : scrub.lastEndedAt / 1000,
    ),
    gauge('leat_peers_connected', 'Other agents of the swarm that are currently known.', now.peersConnected),
    ...objectStoreMetrics(now.objectStore),
    ...copiesMetrics(now.copies),
    readWhenScraped(
      'counter',
      'leat_evicted_bytes_total',
      'Bytes evicted to keep the store below its limit.',
      () => now.evictedBytes,
    ),
    labelled(
      'counter',
      'leat_saved_bytes_total',
      'Bytes that clients and peers got without a transfer from upstream for their request.',
      'to',
      { clients: savedBytes.clients, peers: savedBytes.peers },
    ),
  ]
}

function objectStoreMetrics(state: GaugeValues['objectStore']): readonly Metric[] {
  if (state === undefined) return []
  return [
    gauge('leat_object_store_paused', '1 while the object store is not asked.', Number(state.isPaused)),
    gauge(
      'leat_object_store_uploads_waiting',
      'Contents and tags that wait to be uploaded to the object store, or are being uploaded.',
      state.waiting,
    ),
    readWhenScraped(
      'counter',
      'leat_object_store_uploads_dropped_total',
      'Uploads to the object store that were given up.',
      () => state.dropped,
    ),
  ]
}

function copiesMetrics(copies: GaugeValues['copies']): readonly Metric[] {
  if (copies.length === 0) return []
  const perBucket = (
    type: Metric['type'],
    name: string,
    help: string,
    amountOf: (of: GaugeValues['copies'][number]) => number,
  ): Metric => {
    const samples = copies.map((of) => sample(name, bucketLabel(of), amountOf(of)))
    return { name, help, type, labels: ['bucket'], samples: () => samples }
  }
  const outcomes = copies.flatMap((of) =>
    (['copied', 'failed', 'dropped'] as const).map((outcome) =>
      sample('leat_copies_total', `${bucketLabel(of)},outcome="${outcome}"`, of[outcome]),
    ),
  )
  return [
    perBucket(
      'gauge',
      'leat_copies_waiting',
      'Images that wait to be copied, or are being copied.',
      ({ waiting }) => waiting,
    ),
    {
      name: 'leat_copies_total',
      help: 'Images that were copied, attempts that have failed, and images whose tag was removed.',
      type: 'counter',
      labels: ['bucket', 'outcome'],
      samples: () => outcomes,
    },
    perBucket(
      'counter',
      'leat_copies_sent_bytes_total',
      'Bytes of copies that were sent.',
      ({ sentBytes }) => sentBytes,
    ),
    perBucket(
      'counter',
      'leat_copies_saved_bytes_total',
      'Bytes of copies that were in the bucket already, and so were not sent.',
      ({ savedBytes }) => savedBytes,
    ),
  ]
}

function bucketLabel({ bucket }: GaugeValues['copies'][number]): string {
  return `bucket="${escapeValue(bucket)}"`
}

function gauge(name: string, help: string, value: number | undefined): Metric {
  return readWhenScraped('gauge', name, help, () => value)
}

function labelled(
  type: Metric['type'],
  name: string,
  help: string,
  label: string,
  values: Readonly<Record<string, number>>,
): Metric {
  const samples = Object.entries(values).map(([of, value]) => sample(name, `${label}="${of}"`, value))
  return { name, help, type, labels: [label], samples: () => samples }
}
