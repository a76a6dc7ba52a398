import * as v from 'valibot'
import { bytes, count } from './units.ts'

export const ImportProgress = v.object({
  is: v.literal('progress'),
  /** The image in progress; null before the first one. */
  image: v.nullable(v.string()),
  images: count,
  ofImages: count,
  /** The bytes of the images so far, those that were stored before included. */
  bytes,
  /** It grows until the last image has begun. */
  ofBytes: bytes,
  bytesPerSecond: bytes,
})
export type ImportProgress = v.InferOutput<typeof ImportProgress>

export const ImportedImage = v.object({
  is: v.literal('image'),
  /** The name under which it is served; what the source calls it when it has no name. */
  image: v.string(),
  digest: v.nullable(v.string()),
  /** A sentence; null when the whole image is stored and named. */
  error: v.nullable(v.string()),
  parts: count,
  bytes,
  /** The part of `bytes` that was stored before. */
  hereBytes: bytes,
  /** The part of `bytes` whose files were moved into the store. */
  movedBytes: bytes,
  referrers: count,
  pinned: v.boolean(),
})
export type ImportedImage = v.InferOutput<typeof ImportedImage>

/** A file that was not imported. */
export const LeftOutFile = v.object({ is: v.literal('left-out'), file: v.string(), error: v.string() })
export type LeftOutFile = v.InferOutput<typeof LeftOutFile>

export const ImportDone = v.object({
  is: v.literal('done'),
  images: count,
  failed: count,
  leftOut: count,
  bytes,
  hereBytes: bytes,
  movedBytes: bytes,
  ms: count,
})
export type ImportDone = v.InferOutput<typeof ImportDone>

/** One line of `agent import --json`. */
export const ImportLine = v.variant('is', [ImportProgress, ImportedImage, LeftOutFile, ImportDone])
export type ImportLine = v.InferOutput<typeof ImportLine>
