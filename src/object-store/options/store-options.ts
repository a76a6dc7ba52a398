import type { BucketOptions } from './options.ts'

/** `distribution`: that of the CNCF distribution registry. `oci-registry`: that of mcronce/oci-registry, read only. */
export type LayoutKind = 'distribution' | 'oci-registry'

/** Which tags of some repositories of the bucket stay: those that one of the conditions keeps. */
export interface ExpiryRule {
  /** Patterns of repositories, as in `fillNames`. */
  readonly names: readonly string[]
  /** Patterns of tags that stay; `*` matches any text. */
  readonly keepTags?: readonly string[]
  /** How many tags stay: those that upstream has confirmed last. */
  readonly keepLast?: number
  /** Tags that upstream has confirmed within this time stay; the bucket knows it to within a day. */
  readonly keepForMs?: number
}

/** An object store that the agent asks after peers and before upstream, and fills with what came from upstream. */
export interface ObjectStoreOptions extends BucketOptions {
  readonly layout?: LayoutKind
  /** The registry whose repositories the bucket has without naming it; default: names in it begin with their registry. */
  readonly registry?: string
  /** Whether the hosted repositories of the agent are in this bucket, which then all agents share; default: on its own disk. */
  readonly hosted?: boolean
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
  /** Which tags `agent gc --object-store` keeps; default: all. */
  readonly expire?: readonly ExpiryRule[]
  /** How long what no tag needs stays after it was last written; default: 7 days, at least 2. */
  readonly expireGraceMs?: number
  /** How many ranges of one blob are read at a time; default: 4. */
  readonly readRanges?: number
}
