import * as v from 'valibot'
import { bytesBySource, time } from './units.ts'

const PullReport = v.object({
  repository: v.string(),
  /** The requested tags, at most 5; without any, the first requested digest. */
  references: v.array(v.string()),
  startedAt: time,
  endedAt: time,
  requests: v.number(),
  /** Requests that got an error, or whose response was cut off. */
  failed: v.number(),
  bytes: bytesBySource,
})
export type PullReport = v.InferOutput<typeof PullReport>

/** The recorded pulls, newest first. Requests for one repository in close succession are one pull. */
export const PullsReport = v.object({ pulls: v.array(PullReport) })
export type PullsReport = v.InferOutput<typeof PullsReport>
