import * as v from 'valibot'
import { bytes, count, span, time } from './units.ts'

/** One line of what a node does, as it happens. */
export const EventLine = v.variant('is', [
  /** A request of a client for a manifest or a blob has ended. */
  v.object({
    is: v.literal('request'),
    at: time,
    method: v.string(),
    repository: v.string(),
    /** The requested tag or digest. */
    reference: v.string(),
    code: v.number(),
    bytes,
    ms: span,
    /** Where the content came from; null for an answer without one. */
    source: v.nullable(v.picklist(['local', 'inflight', 'peer', 'object-store', 'upstream'])),
    aborted: v.boolean(),
    error: v.nullable(v.string()),
  }),
  /** A transfer from outside this node has ended. */
  v.object({
    is: v.literal('transfer'),
    at: time,
    digest: v.string(),
    kind: v.picklist(['manifest', 'blob']),
    repository: v.string(),
    size: bytes,
    ms: span,
    /** Who has brought the last byte; null when nobody could. */
    source: v.nullable(v.string()),
    stored: v.boolean(),
    error: v.nullable(v.string()),
  }),
  /** The client read too slowly, and this many events were left out. */
  v.object({ is: v.literal('dropped'), events: count }),
  /** Nothing has happened; the first line, and another one after some seconds of silence. */
  v.object({ is: v.literal('idle'), at: time }),
])
export type EventLine = v.InferOutput<typeof EventLine>
