import { type BucketProxies, BucketRequests } from '../../object-store/client/bucket-requests.ts'
import { DistributionLayout, dataKey } from '../../object-store/layout/distribution.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { RedirectBucketOptions } from './bucket-options.ts'

/** How long one request to a bucket may take. */
const DEADLINE_MS = 2000
/** How long a signed URL is valid. A client that continues a blob later asks for another one. */
const SIGNED_SECONDS = 20 * 60

type Options = { readonly signal: AbortSignal }

export interface BucketParts {
  readonly userAgent: string
  readonly proxies: BucketProxies | undefined
}

/** Asks a bucket for blobs, and makes URLs of them. Each method rejects with a `Failure` that names the bucket. */
export class RedirectBucket {
  readonly #requests: BucketRequests
  readonly #isPublic: boolean
  readonly #layout: DistributionLayout

  constructor({ bucket, registry }: RedirectBucketOptions, parts: BucketParts) {
    this.#requests = new BucketRequests({ ...parts, bucket, deadlineMs: DEADLINE_MS })
    this.#isPublic = bucket.credentials === 'none'
    this.#layout = new DistributionLayout({ registry })
  }

  /**
   * Whether the bucket has the blob. A signed URL is a right to read, so for one the bucket must have a link, too, which says
   * that the blob belongs to the repository that the client has named.
   */
  async has(repository: Repository, digest: Digest, options: Options): Promise<boolean> {
    const keys = this.#layout.contentKeys({ kind: 'blob', digest, repository })
    if (keys?.link === undefined) return false
    const wanted = this.#isPublic ? [keys.data] : [keys.data, keys.link]
    const found = await Promise.all(wanted.map((key) => this.#exists(key, options)))
    return found.every(Boolean)
  }

  /** The URL of a blob for requests with that method, which a signature includes. */
  async url(digest: Digest, method: 'GET' | 'HEAD', { signal }: Options): Promise<string> {
    const url = this.#requests.urlOf(dataKey(digest))
    const presigned = { method, expiresInSeconds: SIGNED_SECONDS, signal }
    return (await this.#requests.signer.presign(url, presigned)).href
  }

  /** Reads the file of the authority. Rejects with a `FileProblem` if it cannot be used. */
  open(): Promise<void> {
    return this.#requests.open()
  }

  close(): Promise<void> {
    return this.#requests.close()
  }

  async #exists(key: string, options: Options): Promise<boolean> {
    // A public bucket that cannot be listed answers 403 for what it does not have.
    const expected = this.#isPublic ? [403, 404] : [404]
    const { status } = await this.#requests.send({ method: 'HEAD', key, expected }, options)
    return status === 200
  }
}
