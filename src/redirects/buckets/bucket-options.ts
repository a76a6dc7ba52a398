import type { BucketOptions } from '../../object-store/options/options.ts'

/** A bucket that clients are sent to. */
export interface RedirectBucketOptions {
  /** As the settings name it, such as `s3://bucket-eu` or `https://images-eu.example.dev/`. */
  readonly name: string
  /** With `credentials: 'none'` it is public: its URLs are not signed. */
  readonly bucket: BucketOptions
  /** The one registry whose repositories the bucket has, without the registry in their names; default: of any, with it. */
  readonly registry?: string
}
