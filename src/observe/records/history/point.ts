/** Upper bounds of the classes in which durations of manifest requests are counted, in milliseconds; the last is open. */
export const MANIFEST_BOUNDS_MS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000] as const

/** What happened in one span of time. */
export interface HistoryPoint {
  /** When the span begins, in milliseconds since the epoch. */
  readonly at: number
  /** Bytes sent to clients, by where they came from. */
  readonly served: { local: number; inflight: number; peer: number; objectStore: number; upstream: number }
  /** Bytes that this node has received. */
  readonly fetched: { peer: number; objectStore: number; upstream: number }
  /** Requests for content that were answered with it, and those of them that were answered from the store. */
  requests: number
  hits: number
  /** Requests for content that got an error, or whose answer was cut off. */
  failed: number
  /** How many answered requests for manifests took how long, by `MANIFEST_BOUNDS_MS`. */
  readonly manifestTimes: number[]
  /** The size of the store when it was looked at last. */
  storeBytes: number
}

export function newPoint(at: number, storeBytes: number): HistoryPoint {
  return {
    at,
    served: { local: 0, inflight: 0, peer: 0, objectStore: 0, upstream: 0 },
    fetched: { peer: 0, objectStore: 0, upstream: 0 },
    requests: 0,
    hits: 0,
    failed: 0,
    manifestTimes: Array.from({ length: MANIFEST_BOUNDS_MS.length + 1 }, () => 0),
    storeBytes,
  }
}

/** Gives a point with what happened in both spans. `later` says how large the store was at the end. */
export function sumOfPoints(earlier: HistoryPoint, later: HistoryPoint): HistoryPoint {
  return {
    at: earlier.at,
    served: {
      local: earlier.served.local + later.served.local,
      inflight: earlier.served.inflight + later.served.inflight,
      peer: earlier.served.peer + later.served.peer,
      objectStore: earlier.served.objectStore + later.served.objectStore,
      upstream: earlier.served.upstream + later.served.upstream,
    },
    fetched: {
      peer: earlier.fetched.peer + later.fetched.peer,
      objectStore: earlier.fetched.objectStore + later.fetched.objectStore,
      upstream: earlier.fetched.upstream + later.fetched.upstream,
    },
    requests: earlier.requests + later.requests,
    hits: earlier.hits + later.hits,
    failed: earlier.failed + later.failed,
    manifestTimes: earlier.manifestTimes.map((count, at) => count + (later.manifestTimes[at] ?? 0)),
    storeBytes: later.storeBytes,
  }
}

export function countManifestTime(point: HistoryPoint, ms: number): void {
  const above = MANIFEST_BOUNDS_MS.findIndex((bound) => ms <= bound)
  const at = above < 0 ? MANIFEST_BOUNDS_MS.length : above
  point.manifestTimes[at] = (point.manifestTimes[at] ?? 0) + 1
}

/**
 * The bound under which this share of the manifest requests ended, in milliseconds: the largest bound for those above it.
 * Undefined when there were none.
 */
export function manifestQuantile({ manifestTimes }: HistoryPoint, share: number): number | undefined {
  const total = manifestTimes.reduce((sum, count) => sum + count, 0)
  if (total === 0) return undefined
  let counted = 0
  for (const [at, count] of manifestTimes.entries()) {
    counted += count
    if (counted >= share * total) return MANIFEST_BOUNDS_MS[at] ?? MANIFEST_BOUNDS_MS.at(-1)
  }
  return MANIFEST_BOUNDS_MS.at(-1)
}

/** Whether a point says anything besides the size of the store. */
export function isEmptyPoint({ requests, failed, fetched }: HistoryPoint): boolean {
  const isFetching = fetched.peer + fetched.objectStore + fetched.upstream > 0
  return requests === 0 && failed === 0 && !isFetching
}
