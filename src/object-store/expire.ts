import { Bucket } from './client/bucket.ts'
import type { BucketProxies } from './client/bucket-requests.ts'
import { type Expired, Expiry } from './expiry/expiry.ts'
import { ExpiryRules } from './expiry/expiry-rules.ts'
import { DistributionLayout } from './layout/distribution.ts'
import type { ObjectStoreOptions } from './options/store-options.ts'

export type { Expired } from './expiry/expiry.ts'

const DEFAULT_GRACE_MS = 7 * 24 * 60 * 60 * 1000
/** How long one request may take. */
const DEADLINE_MS = 60_000

export interface ExpireOptions {
  readonly userAgent: string
  readonly proxies: BucketProxies | undefined
  /** Nothing is removed; the results say what would be. */
  readonly isDryRun: boolean
  readonly signal: AbortSignal
}

/** Removes from a bucket what its rules do not keep and no tag needs. Rejects with a `Failure` when the bucket fails. */
export async function* expireObjectStore(
  options: ObjectStoreOptions,
  { isDryRun, signal, ...parts }: ExpireOptions,
): AsyncGenerator<Expired> {
  const bucket = new Bucket({ ...parts, bucket: options, deadlineMs: DEADLINE_MS })
  try {
    const layout = new DistributionLayout({ registry: options.registry })
    const rules = new ExpiryRules(options.expire ?? [])
    const graceMs = options.expireGraceMs ?? DEFAULT_GRACE_MS
    yield* new Expiry({ bucket, layout, rules, graceMs, isDryRun }).run({ signal })
  } finally {
    await bucket.close()
  }
}
