import * as v from 'valibot'
import { bytes, bytesBySource, count, span, time } from './units.ts'

const HistoryPoint = v.object({
  /** When the span of time begins. */
  at: time,
  served: bytesBySource,
  fetched: v.object({ peer: bytes, objectStore: bytes, upstream: bytes }),
  /** Requests for content that were answered with it, and those of them that were answered from the store. */
  requests: count,
  hits: count,
  /** Requests for content that got an error, or whose answer was cut off. */
  failed: count,
  /** How long answered requests for manifests took: half of them, and 95 % of them, at most this; null without any. */
  manifestMs: v.nullable(v.object({ median: span, p95: span })),
  /** The size of the store at the end of the span. */
  storeBytes: bytes,
})
export type HistoryPoint = v.InferOutput<typeof HistoryPoint>

const HistoryScale = v.object({
  /** The length of a span. */
  everyMs: span,
  /** The oldest first. A span in which nothing happened may be left out. */
  points: v.array(HistoryPoint),
})
export type HistoryScale = v.InferOutput<typeof HistoryScale>

/** What this node has done in the last hour and in the last day, across restarts. */
export const HistoryReport = v.object({ hour: HistoryScale, day: HistoryScale })
export type HistoryReport = v.InferOutput<typeof HistoryReport>
