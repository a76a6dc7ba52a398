import * as v from 'valibot'
import { bytes } from './units.ts'

// The requests and responses of the admin API that change something; clients validate the responses with these schemas. A
// response to a long operation is a stream of JSON lines: progress at least every second, then the result or the error.

const count = v.number()
const Failed = v.object({ is: v.literal('failed'), error: v.string() })

export const GcLine = v.variant('is', [
  /** What was evicted so far. */
  v.object({ is: v.literal('progress'), blobs: count, bytes }),
  /** What was evicted in total, and what is left. */
  v.object({ is: v.literal('done'), blobs: count, bytes, leftBlobs: count, leftBytes: bytes }),
  Failed,
])
export type GcLine = v.InferOutput<typeof GcLine>

const kind = v.picklist(['manifest', 'blob'])

/** What a garbage collection of hosted repositories removes, or would remove. */
const Collected = v.variant('is', [
  v.object({
    is: v.literal('tag'),
    repository: v.string(),
    tag: v.string(),
    digest: v.string(),
    why: v.string(),
  }),
  /** The content does not belong to the repository any more. */
  v.object({
    is: v.literal('unlinked'),
    repository: v.string(),
    digest: v.string(),
    kind,
    size: bytes,
    why: v.string(),
  }),
  /** Nothing needs the content any more, so it is not stored any more. */
  v.object({ is: v.literal('freed'), digest: v.string(), kind, size: bytes, why: v.string() }),
  /** Nothing is removed from the repository. */
  v.object({ is: v.literal('skipped'), repository: v.string(), why: v.string() }),
])
export type Collected = v.InferOutput<typeof Collected>

const collectedTotals = { tags: count, links: count, blobs: count, bytes }

export const HostedGcLine = v.variant('is', [
  v.object({ is: v.literal('progress'), ...collectedTotals }),
  Collected,
  /** `links`: contents that left a repository. `blobs`: contents that left the store, with `bytes` in all. */
  v.object({ is: v.literal('done'), ...collectedTotals }),
  Failed,
])
export type HostedGcLine = v.InferOutput<typeof HostedGcLine>

const Rotten = v.object({
  is: v.literal('rotten'),
  digest: v.string(),
  size: bytes,
  /** What the file holds instead: another digest, or a description. */
  found: v.string(),
  /** The images that refer to it; without any, the repositories in which clients requested it. */
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
    /** In the order of the request; `tags` are the removed tags. */
    removed: v.array(v.object({ subject: v.string(), digest: v.string(), tags: v.array(v.string()) })),
    blobs: count,
    bytes,
    /** Parts of the removed images that stay, because something else refers to them. */
    keptBlobs: count,
    keptBytes: bytes,
  }),
  Failed,
])
export type RemovalLine = v.InferOutput<typeof RemovalLine>

export const PinsReport = v.object({
  /** `changed` is false when the subject was pinned, or not pinned, already. */
  pins: v.array(
    v.object({
      subject: v.string(),
      digest: v.string(),
      changed: v.boolean(),
      /** By which tags the digest is pinned now; itself, if it was pinned by that. */
      pinnedBy: v.array(v.string()),
    }),
  ),
})
export type PinsReport = v.InferOutput<typeof PinsReport>

/** References or digests; 600 characters are more than the longest valid reference has. */
const Subjects = v.pipe(v.array(v.pipe(v.string(), v.maxLength(600))), v.minLength(1), v.maxLength(1000))

export const GcRequest = v.strictObject({
  toBytes: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
})
export const HostedGcRequest = v.strictObject({ isDryRun: v.optional(v.boolean(), false) })
export const VerifyRequest = v.strictObject({
  bytesPerSecond: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1))),
})
export const PinsRequest = v.strictObject({ subjects: Subjects })
export const RemovalRequest = v.strictObject({ subjects: Subjects, force: v.optional(v.boolean(), false) })
