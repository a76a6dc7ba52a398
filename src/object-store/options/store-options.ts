import type { BucketOptions } from './options.ts'

/** `distribution`: that of the CNCF distribution registry. `oci-registry`: that of mcronce/oci-registry, read only. */
export type LayoutKind = 'distribution' | 'oci-registry'

/** An object store that the agent asks after peers and before upstream, and fills with what came from upstream. */
export interface ObjectStoreOptions extends BucketOptions {
  readonly layout?: LayoutKind
  /** The registry whose repositories the bucket has without naming it; default: names in it begin with their registry. */
  readonly registry?: string
  /** What is uploaded of the content that came from upstream: all, only what is pinned, or nothing; default: all. */
  readonly fill?: 'all' | 'pinned' | 'none'
  /** Only repositories that one of these patterns matches are uploaded; default: all. */
  readonly fillNames?: readonly string[]
  /** An image is uploaded once clients have pulled it so often from this node; default: 1, as soon as it is stored. */
  readonly fillAfterPulls?: number
  /** How many contents are uploaded at a time; default: 2. */
  readonly uploadConcurrency?: number
  /** Bytes per second of all uploads together; default: no limit. */
  readonly uploadRate?: number
  /** How many ranges of one blob are read at a time; default: 4. */
  readonly readRanges?: number
}
