import * as v from 'valibot'
import { bytes, time } from './units.ts'

/** A stored blob or manifest. */
export const BlobReport = v.object({
  digest: v.string(),
  size: bytes,
  kind: v.picklist(['manifest', 'blob']),
  mediaType: v.nullable(v.string()),
  storedAt: time,
  lastUsedAt: time,
  origin: v.string(),
  /** It is never evicted: it is pinned itself, or a pinned manifest refers to it. */
  pinned: v.boolean(),
})
export type BlobReport = v.InferOutput<typeof BlobReport>

/** A tag, and how much of its image is stored. */
export const ImageReport = v.object({
  repository: v.string(),
  tag: v.string(),
  digest: v.string(),
  checkedAt: time,
  /** When an import set the tag, if one did. Equal to `checkedAt` until upstream has confirmed it. */
  importedAt: v.optional(time),
  /** The tag is one of a hosted repository, and was pushed at `checkedAt`. */
  hosted: v.optional(v.boolean()),
  /** The stored bytes of the image: `uniqueBytes` belong to this tag alone, `sharedBytes` to other tags too. */
  bytesHere: bytes,
  uniqueBytes: bytes,
  sharedBytes: bytes,
  /** The first 10 other tags that share a part with this one. */
  sharesWith: v.array(v.string()),
  /** When one of its manifests was last used; null when none is stored. */
  lastUsedAt: v.nullable(time),
  pinned: v.boolean(),
  /** The first 10 tags by which its digest is pinned; the digest, if it was pinned by that. */
  pinnedBy: v.array(v.string()),
  /** `whole`: it can be pulled without upstream, for these `platforms` if it is an index. */
  state: v.picklist(['whole', 'partial', 'absent']),
  platforms: v.array(v.string()),
})
export type ImageReport = v.InferOutput<typeof ImageReport>
