import * as v from 'valibot'

/**
 * The answers of the admin API to what changes something, checked by whoever asks. What takes long is told in lines:
 * progress at least every second, then what it came to, or why it could not be gone on with.
 */
const bytes = v.pipe(v.number(), v.minValue(0))
const count = v.number()
const Failed = v.object({ is: v.literal('failed'), error: v.string() })

export const GcLine = v.variant('is', [
  /** Evicted so far. */
  v.object({ is: v.literal('progress'), blobs: count, bytes }),
  /** Evicted, and what is left. */
  v.object({ is: v.literal('done'), blobs: count, bytes, leftBlobs: count, leftBytes: bytes }),
  Failed,
])
export type GcLine = v.InferOutput<typeof GcLine>

const Rotten = v.object({
  is: v.literal('rotten'),
  digest: v.string(),
  size: bytes,
  /** What was there instead: another digest, or a few words. */
  found: v.string(),
  /** Images by tag, or else the repositories in which it was seen. */
  partOf: v.array(v.string()),
})
export type Rotten = v.InferOutput<typeof Rotten>

export const VerifyLine = v.variant('is', [
  v.object({ is: v.literal('progress'), blobs: count, bytes, ofBlobs: count, ofBytes: bytes, found: count }),
  Rotten,
  v.object({ is: v.literal('done'), blobs: count, bytes, found: count }),
  Failed,
])
export type VerifyLine = v.InferOutput<typeof VerifyLine>

export const RemovalLine = v.variant('is', [
  v.object({ is: v.literal('progress'), blobs: count, bytes }),
  v.object({
    is: v.literal('done'),
    /** In the order in which they were named; `tags` are those that are forgotten. */
    removed: v.array(v.object({ subject: v.string(), digest: v.string(), tags: v.array(v.string()) })),
    blobs: count,
    bytes,
    /** Parts of these that stay, because something else needs them. */
    keptBlobs: count,
    keptBytes: bytes,
  }),
  Failed,
])
export type RemovalLine = v.InferOutput<typeof RemovalLine>

export const PinsReport = v.object({
  /** `changed` is false for what was so already. */
  pins: v.array(v.object({ subject: v.string(), digest: v.string(), changed: v.boolean() })),
})
export type PinsReport = v.InferOutput<typeof PinsReport>

const Subjects = v.pipe(v.array(v.pipe(v.string(), v.maxLength(600))), v.minLength(1), v.maxLength(1000))
/** The bodies of the requests. */
export const GcRequest = v.strictObject({
  toBytes: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
})
export const VerifyRequest = v.strictObject({
  bytesPerSecond: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1))),
})
export const PinsRequest = v.strictObject({ subjects: Subjects })
export const RemovalRequest = v.strictObject({ subjects: Subjects, force: v.optional(v.boolean(), false) })
