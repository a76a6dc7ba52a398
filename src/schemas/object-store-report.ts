import * as v from 'valibot'
import { bytes, count, span, time } from './units.ts'

/** The object store of a node. Counts are since the start of the agent. */
export const ObjectStoreReport = v.object({
  /** As in `s3://bucket/prefix`. */
  name: v.string(),
  /** Why it is not asked now; null when it is. */
  paused: v.nullable(v.string()),
  /** The last failure of a request to read; null while there was none. */
  lastError: v.nullable(v.object({ message: v.string(), at: time })),
  /** Contents for which it was asked: it has brought them, did not have them, or has failed. */
  reads: v.object({ hit: count, miss: count, failed: count }),
  /** How long it takes on average until the bytes of a content begin; null while it has brought none. */
  answerMs: v.nullable(span),
  uploads: v.object({
    /** Contents and tags that wait to be uploaded, or are being uploaded. */
    waiting: count,
    /** Uploads that were given up; a later search of the store finds what they have left out. */
    dropped: count,
    /** Contents that were sent, and those that were there already. */
    sent: count,
    there: count,
    sentBytes: bytes,
    /** Why uploads fail now; null when they do not. */
    problem: v.nullable(v.string()),
  }),
})
export type ObjectStoreReport = v.InferOutput<typeof ObjectStoreReport>

/** What the object store has of one subject, asked for the report. */
export const ObjectStoreContent = v.object({
  name: v.string(),
  /** null when it could not be asked. */
  has: v.nullable(v.boolean()),
  /** Why it could not be asked, or is not asked for contents now. */
  problem: v.nullable(v.string()),
})
export type ObjectStoreContent = v.InferOutput<typeof ObjectStoreContent>

/** What the agent copies into one bucket. Counts are since the start of the agent. */
export const CopiesReport = v.object({
  /** As in `s3://bucket/prefix`. */
  bucket: v.string(),
  /** Images that wait to be copied, or are being copied. */
  waiting: count,
  /** The image that is being copied; null when none is. */
  current: v.nullable(v.object({ image: v.string(), bytes, ofBytes: bytes })),
  /** Images that are completely in the bucket after a copy. */
  copied: count,
  /** Attempts that have failed. */
  failed: count,
  /** Images whose tags were removed because nobody has pulled them. */
  dropped: count,
  sentBytes: bytes,
  /** What was there already, and so was not sent. */
  savedBytes: bytes,
  /** The price of `savedBytes` by the settings; null without a price. */
  savedCost: v.nullable(v.number()),
  /** Why the last attempt has failed; null when it has not. */
  problem: v.nullable(v.string()),
})
export type CopiesReport = v.InferOutput<typeof CopiesReport>
