import * as v from 'valibot'

// The values of which reports consist. Their comments are the descriptions of the fields that have none of their own.
export const count = v.pipe(v.number(), v.minValue(0))
export const bytes = v.pipe(v.number(), v.minValue(0))
/** A duration in milliseconds. */
export const span = v.number()
/** RFC 3339 in UTC. */
export const time = v.pipe(v.string(), v.isoTimestamp())

/** Bytes sent to clients, by where they came from. */
export const bytesBySource = v.object({
  local: bytes,
  inflight: bytes,
  peer: bytes,
  objectStore: bytes,
  upstream: bytes,
})

/** Every answer of `/api/v1` with a status from 400: one sentence that says what is wrong and what to do. */
export const ErrorReport = v.object({ error: v.string() })
