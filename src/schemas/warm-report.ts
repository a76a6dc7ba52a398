import * as v from 'valibot'

/** What the admin API is asked for and answers when images are to be warmed, a line for each thing that is known. */
const bytes = v.pipe(v.number(), v.minValue(0))
const count = v.pipe(v.number(), v.minValue(0))
const Fetched = v.object({ peer: bytes, upstream: bytes })

export const MOST_IMAGES = 1000

export const WarmRequest = v.strictObject({
  images: v.pipe(v.array(v.pipe(v.string(), v.maxLength(600))), v.minLength(1), v.maxLength(MOST_IMAGES)),
  /** `os/architecture[/variant]`, or `all` alone; none: the platform of the agent's node. */
  platforms: v.optional(v.pipe(v.array(v.pipe(v.string(), v.maxLength(100))), v.maxLength(32)), []),
  /** Also signatures, attestations and whatever else refers to the image. */
  referrers: v.optional(v.boolean(), false),
  pin: v.optional(v.boolean(), false),
  /** Every other agent of the swarm is asked to do the same. */
  allNodes: v.optional(v.boolean(), false),
})
export type WarmRequest = v.InferOutput<typeof WarmRequest>

/** Of several, the one that a line is about. */
const WarmNode = v.object({
  id: v.string(),
  /** For people; no two in one answer have the same. */
  name: v.string(),
})
export type WarmNode = v.InferOutput<typeof WarmNode>

const ImageProgress = v.object({
  image: v.string(),
  /** What it consists of is not fully known before `isPlanned`. */
  isPlanned: v.boolean(),
  parts: count,
  ofParts: count,
  bytes,
  ofBytes: bytes,
  fetched: Fetched,
})
export type ImageProgress = v.InferOutput<typeof ImageProgress>

export const WarmProgress = v.object({
  is: v.literal('progress'),
  node: v.optional(WarmNode),
  /** Those under way now. */
  under: v.array(ImageProgress),
  images: count,
  ofImages: count,
  /** Each digest once, whichever images need it. */
  bytes,
  ofBytes: bytes,
  fetched: Fetched,
  bytesPerSecond: bytes,
  /** null while it cannot be told. */
  secondsLeft: v.nullable(v.number()),
})
export type WarmProgress = v.InferOutput<typeof WarmProgress>

export const WarmedImage = v.object({
  is: v.literal('image'),
  node: v.optional(WarmNode),
  /** As it was asked for. */
  image: v.string(),
  digest: v.nullable(v.string()),
  /** One sentence; null: all of it is stored and verified. */
  error: v.nullable(v.string()),
  parts: count,
  bytes,
  /** Of these, what was here before. */
  hereBytes: bytes,
  fetched: Fetched,
  /** Signatures and the like, of those parts. */
  referrers: count,
  /** Layers that no registry has, because they may not be passed on. */
  foreign: count,
  pinned: v.boolean(),
  /** Upstream could not be asked: this is what the tag meant before. */
  stale: v.boolean(),
  ms: count,
})
export type WarmedImage = v.InferOutput<typeof WarmedImage>

/** What it came to. Of several nodes: their bytes together, and as failed what not all of them have. */
export const WarmDone = v.object({
  is: v.literal('done'),
  images: count,
  failed: count,
  bytes,
  hereBytes: bytes,
  fetched: Fetched,
  ms: count,
  nodes: v.optional(count),
  /** Those that do not have all. */
  failedNodes: v.optional(count),
})
export type WarmDone = v.InferOutput<typeof WarmDone>

/** What it came to on one of several nodes. */
const WarmedNode = v.object({
  is: v.literal('node'),
  node: WarmNode,
  /** Why it could not be asked, or has not told to the end; null: what failed there is told by image. */
  error: v.nullable(v.string()),
  images: count,
  failed: count,
  bytes,
  hereBytes: bytes,
  fetched: Fetched,
  ms: count,
})
export type WarmedNode = v.InferOutput<typeof WarmedNode>

export const WarmLine = v.variant('is', [
  WarmProgress,
  WarmedImage,
  WarmedNode,
  WarmDone,
  v.object({ is: v.literal('failed'), error: v.string() }),
])
export type WarmLine = v.InferOutput<typeof WarmLine>
