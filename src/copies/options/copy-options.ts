import type { BucketPlace } from '../../object-store/copy.ts'

/** Images that are copied at certain times. One of the two says when. */
export interface CopySchedule {
  readonly images: readonly string[]
  readonly everyMs?: number
  /** A line of crontab, in UTC. */
  readonly cron?: string
}

/** Images that are copied when a registry says that they were pushed. */
export interface CopyNotified {
  /** Patterns of repositories, such as `ghcr.io/acme/*`. */
  readonly names: readonly string[]
  /** The secrets with which a registry may say it, one a line. */
  readonly secretFile: string
}

/** Images that are copied when the clients of a node pull them so often. */
export interface CopyPulled {
  readonly names?: readonly string[]
  readonly times: number
  readonly withinMs: number
  /** Networks of the clients that count; default: all. */
  readonly from?: readonly string[]
  /** Zones of the nodes that count; default: all. */
  readonly zones?: readonly string[]
  /** The tag goes when nobody has pulled the image for so long; default: it stays. */
  readonly dropAfterMs?: number
}

/** What agents copy into one bucket. */
export interface CopyOptions {
  readonly to: BucketPlace
  /** Default: all. */
  readonly platforms?: readonly string[]
  readonly schedule?: CopySchedule
  readonly notified?: CopyNotified
  readonly pulled?: CopyPulled
  /** The price of a GiB that is sent to the bucket, in the currency of the settings. */
  readonly costPerGiB?: number
}
