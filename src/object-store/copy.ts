import { RateLimiter } from '../lib/async/rate-limiter.ts'
import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import { Bucket } from './client/bucket.ts'
import type { BucketProxies } from './client/bucket-requests.ts'
import { DistributionLayout, dataKey } from './layout/distribution.ts'
import type { BucketOptions } from './options/options.ts'
import { BucketLinks } from './upload/bucket-links.ts'
import { ContentUpload } from './upload/content-upload.ts'
import { sha256Of } from './upload/part-hashes.ts'
import { SequentialBytes } from './upload/sequential-bytes.ts'

/** How long one request may take. */
const DEADLINE_MS = 60_000

export interface BucketCopyOptions {
  readonly userAgent: string
  readonly proxies: BucketProxies | undefined
  readonly signal: AbortSignal
}

interface Sized {
  readonly digest: Digest
  readonly size: number
}

/** Writes images into a bucket, in the layout of the distribution registry. Each method rejects with a `Failure`. */
export class BucketCopy {
  readonly #bucket: Bucket
  readonly #layout = new DistributionLayout({ registry: undefined })
  readonly #links: BucketLinks
  readonly #contents: ContentUpload
  readonly #signal: AbortSignal

  constructor(options: BucketOptions, { signal, ...parts }: BucketCopyOptions) {
    this.#bucket = new Bucket({ ...parts, bucket: options, deadlineMs: DEADLINE_MS })
    this.#links = new BucketLinks(this.#bucket)
    this.#contents = new ContentUpload({ bucket: this.#bucket, rate: new RateLimiter(undefined) })
    this.#signal = signal
  }

  /** Whether the bucket has the bytes. */
  async has({ digest, size }: Sized): Promise<boolean> {
    return (await this.#bucket.head(dataKey(digest), { signal: this.#signal }))?.size === size
  }

  /** Uploads bytes. Nothing is under their key unless they have the digest. */
  async addBytes(content: Sized, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const bytes = new SequentialBytes(content, chunks)
    try {
      await this.#contents.send(dataKey(content.digest), bytes, { replace: false, signal: this.#signal })
    } finally {
      await bytes.close()
    }
  }

  async addManifest(repository: Repository, { digest, bytes }: { digest: Digest; bytes: Uint8Array }) {
    const signal = this.#signal
    await this.#bucket.put(dataKey(digest), bytes, { sha256: await sha256Of(bytes), signal })
    await this.link(repository, 'manifest', digest)
  }

  /** Says that the repository has a content, whose bytes are there. */
  async link(repository: Repository, kind: 'manifest' | 'blob', digest: Digest): Promise<void> {
    const options = { signal: this.#signal }
    const link = this.#layout.contentKeys({ kind, digest, repository })?.link
    if (link === undefined || (await this.#links.makeYoung(link, digest, options))) return
    await this.#links.makeBytesYoung(dataKey(digest), options)
    await this.#links.write(link, digest, options)
  }

  /** Sets a tag, whose manifest is there with all that it needs. */
  async tag(repository: Repository, tag: string, digest: Digest): Promise<void> {
    const options = { signal: this.#signal }
    const keys = [this.#layout.tagIndexKey(repository, tag, digest), this.#layout.tagKey(repository, tag)]
    for (const key of keys) if (key !== undefined) await this.#links.write(key, digest, options)
  }

  close(): Promise<void> {
    return this.#bucket.close()
  }
}
