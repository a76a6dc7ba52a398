import * as v from 'valibot'
import { bytes, bytesBySource, count, span, time } from './units.ts'

/** One request of a pull. Identical requests within a second are one part. */
const PullPartReport = v.object({
  /** The requested tag or digest. */
  reference: v.string(),
  /** Such as `manifest` and `blob`. */
  route: v.string(),
  method: v.string(),
  code: count,
  startedAt: time,
  /** From the first byte of the request to the last one of the answer. */
  ms: span,
  times: count,
  bytes,
  /** Where the body came from; null for an answer without content. */
  source: v.nullable(v.picklist(['local', 'inflight', 'peer', 'object-store', 'upstream'])),
  /** The hosts and peers that brought the bytes while the request was under way, at most 5. */
  from: v.array(v.string()),
  error: v.nullable(v.string()),
})
export type PullPartReport = v.InferOutput<typeof PullPartReport>

const PullReport = v.object({
  repository: v.string(),
  /** The requested tags, at most 5; without any, the first requested digest. */
  references: v.array(v.string()),
  startedAt: time,
  endedAt: time,
  requests: v.number(),
  /** Requests that got an error, or whose response was cut off. */
  failed: v.number(),
  /** Why the last of them failed. */
  failure: v.nullable(v.string()),
  bytes: bytesBySource,
  /** The last requests, at most 60, by their beginning. */
  parts: v.array(PullPartReport),
})
export type PullReport = v.InferOutput<typeof PullReport>

/** The recorded pulls, newest first. Requests for one repository in close succession are one pull. */
export const PullsReport = v.object({ pulls: v.array(PullReport) })
export type PullsReport = v.InferOutput<typeof PullsReport>
