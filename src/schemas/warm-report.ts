import * as v from 'valibot'
import { bytes, count } from './units.ts'

/** An agent of an earlier version has no object store. */
const Fetched = v.object({ peer: bytes, objectStore: v.optional(bytes, 0), upstream: bytes })

/** Bounds the work of one request. */
export const MAX_IMAGES = 1000

export const MAX_WAIT_MS = 3_600_000

/** The request to warm images. Its response is a stream of JSON lines. */
export const WarmRequest = v.strictObject({
  images: v.pipe(v.array(v.pipe(v.string(), v.maxLength(600))), v.minLength(1), v.maxLength(MAX_IMAGES)),
  /** `os/architecture[/variant]`, or `all` alone. An empty list means the platform of the agent's node. */
  platforms: v.optional(v.pipe(v.array(v.pipe(v.string(), v.maxLength(100))), v.maxLength(32)), []),
  /** Also warm referrers: signatures, attestations and the like. */
  referrers: v.optional(v.boolean(), false),
  pin: v.optional(v.boolean(), false),
  /** Also warm on every other agent of the swarm. */
  allNodes: v.optional(v.boolean(), false),
  /** How long each image waits for a registry that does not answer, in milliseconds. */
  waitMs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(MAX_WAIT_MS)), 0),
})
export type WarmRequest = v.InferOutput<typeof WarmRequest>

/** The node that a line is about, when several nodes warm. */
const WarmNode = v.object({
  id: v.string(),
  /** For people; unique within one response. */
  name: v.string(),
})
export type WarmNode = v.InferOutput<typeof WarmNode>

const ImageProgress = v.object({
  image: v.string(),
  /** False until all manifests of the image are known; the totals grow until then. */
  isPlanned: v.boolean(),
  parts: count,
  ofParts: count,
  bytes,
  ofBytes: bytes,
  fetched: Fetched,
  /** What the image waits for, if it does, such as `registry.corp: ECONNREFUSED, next try in 6 s`. */
  waitsFor: v.optional(v.string()),
})
export type ImageProgress = v.InferOutput<typeof ImageProgress>

export const WarmProgress = v.object({
  is: v.literal('progress'),
  node: v.optional(WarmNode),
  /** The images in progress. */
  under: v.array(ImageProgress),
  images: count,
  ofImages: count,
  /** Each digest counts once, even if several images refer to it. */
  bytes,
  ofBytes: bytes,
  fetched: Fetched,
  bytesPerSecond: bytes,
  /** null while it cannot be estimated. */
  secondsLeft: v.nullable(v.number()),
})
export type WarmProgress = v.InferOutput<typeof WarmProgress>

export const WarmedImage = v.object({
  is: v.literal('image'),
  node: v.optional(WarmNode),
  /** As in the request. */
  image: v.string(),
  digest: v.nullable(v.string()),
  /** A sentence; null when the whole image is stored and verified. */
  error: v.nullable(v.string()),
  parts: count,
  bytes,
  /** The part of `bytes` that was stored before. */
  hereBytes: bytes,
  fetched: Fetched,
  /** The part of `parts` that are referrers. */
  referrers: count,
  /** Foreign layers, which no registry serves because of their licence. */
  foreign: count,
  pinned: v.boolean(),
  /** Upstream could not be asked: `digest` is what the tag referred to before. */
  stale: v.boolean(),
  ms: count,
})
export type WarmedImage = v.InferOutput<typeof WarmedImage>

/** The result. With several nodes, bytes are sums, and an image counts as failed if any node failed to warm it. */
export const WarmDone = v.object({
  is: v.literal('done'),
  images: count,
  failed: count,
  bytes,
  hereBytes: bytes,
  fetched: Fetched,
  ms: count,
  nodes: v.optional(count),
  /** Nodes that failed to warm at least one image. */
  failedNodes: v.optional(count),
})
export type WarmDone = v.InferOutput<typeof WarmDone>

/** The result of one of several nodes. */
const WarmedNode = v.object({
  is: v.literal('node'),
  node: WarmNode,
  /** Why the node could not be asked, or stopped reporting; failures of images have lines of their own. */
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
