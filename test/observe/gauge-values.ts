import type { GaugeValues } from '../../src/observe/metrics/gauges.ts'

export const GAUGES: GaugeValues = {
  isReady: true,
  warmImages: { stored: 4, missing: 1 },
  flightsActive: 2,
  flightWaiters: 20,
  storeBytes: 4096,
  storeBlobs: 3,
  storeLimitBytes: 10_000,
  pinnedBytes: 1000,
  evictedBytes: 11,
  scrub: { isRunning: true, found: 0, lastEndedAt: 1_700_000_000_000 },
  peersConnected: 0,
  objectStore: { isPaused: true, waiting: 3, dropped: 1 },
  copies: [
    {
      bucket: 's3://images/cache',
      waiting: 1,
      copied: 5,
      failed: 2,
      dropped: 1,
      sentBytes: 700,
      savedBytes: 800,
    },
  ],
  savedBytes: { clients: 5, peers: 6 },
}
