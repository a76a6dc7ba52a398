import type { RedirectBucketOptions } from './buckets/bucket-options.ts'
import type { NetworkOptions } from './clients/client-networks.ts'

/** A domain of one's own that stands before a registry. */
export interface RedirectOptions {
  /** The host that clients name, without a port; `*` for every host that no other entry has. */
  readonly host: string
  /** An https URL with `/v2/`, such as `https://us-docker.pkg.dev/v2/project/repo/`. */
  readonly to: string
  /** `redirect` sends clients to the registry, `serve` answers from the cache. Default: redirect. */
  readonly mode?: 'redirect' | 'serve'
  /** Buckets near some clients, which get blobs from there. The first entry that has the client's address counts. */
  readonly clients?: readonly ClientOptions[]
  /** Networks of proxies that are believed when they say for whom they ask. */
  readonly trustedProxies?: readonly string[]
}

/** Where some clients are, and the bucket near them. */
export interface ClientOptions extends NetworkOptions {
  readonly to: RedirectBucketOptions
}
