import { RateLimiter } from '../lib/async/rate-limiter.ts'
import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import { Failure } from '../ports/failure.ts'
import { Bucket } from './client/bucket.ts'
import type { BucketProxies } from './client/bucket-requests.ts'
import { CopyRecords } from './copy-records.ts'
import { DistributionLayout, dataKey } from './layout/distribution.ts'
import type { BucketOptions } from './options/options.ts'
import { BucketLinks } from './upload/bucket-links.ts'
import { ContentUpload } from './upload/content-upload.ts'
import { sha256Of } from './upload/part-hashes.ts'
import { SequentialBytes } from './upload/sequential-bytes.ts'

/** How long one request may take. */
const DEADLINE_MS = 60_000

/** The bucket that is written to. `registry`: as in the settings of the object store. */
export interface BucketPlace extends BucketOptions {
  readonly registry?: string
}

export interface BucketCopyOptions {
  readonly userAgent: string
  readonly proxies: BucketProxies | undefined
  /** Nothing is written. */
  readonly isDryRun?: boolean
  readonly signal: AbortSignal
}

interface Sized {
  readonly digest: Digest
  readonly size: number
}

/** Writes images into a bucket, in the layout of the distribution registry. Each method rejects with a `Failure`. */
export class BucketCopy {
  readonly #bucket: Bucket
  readonly #layout: DistributionLayout
  readonly #links: BucketLinks
  readonly #contents: ContentUpload
  readonly #isDryRun: boolean
  readonly #signal: AbortSignal
  /** Bytes that are there, and that the server does not let be made young: they are sent again. */
  readonly #toReplace = new Set<Digest>()

  constructor(
    { registry, ...options }: BucketPlace,
    { signal, isDryRun = false, ...parts }: BucketCopyOptions,
  ) {
    this.#bucket = new Bucket({ ...parts, bucket: options, deadlineMs: DEADLINE_MS })
    this.#layout = new DistributionLayout({ registry })
    this.#links = new BucketLinks(this.#bucket)
    this.#contents = new ContentUpload({ bucket: this.#bucket, rate: new RateLimiter(undefined) })
    this.#isDryRun = isDryRun
    this.#signal = signal
  }

  /** Names the bucket for people. */
  get name(): string {
    return this.#bucket.name
  }

  /** What the bucket says of the copies in it. */
  get records(): CopyRecords {
    return new CopyRecords(this.#bucket)
  }

  /** Whether the bucket can have the repository. */
  holds(repository: Repository): boolean {
    return this.#layout.repositoryFolder(repository) !== undefined
  }

  /**
   * Whether the bucket has the bytes, and what collects garbage leaves them until the repository is complete: by the link of the
   * repository, which is made young, or else because they are young themselves.
   */
  async has(repository: Repository, { digest, size }: Sized): Promise<boolean> {
    const isThere = (await this.#bucket.head(dataKey(digest), { signal: this.#signal }))?.size === size
    if (!isThere || this.#isDryRun || (await this.#staysFor(repository, 'blob', digest))) return isThere
    this.#toReplace.add(digest)
    return false
  }

  /** Uploads bytes that `has` has missed. Nothing is under their key unless they have the digest. */
  async addBytes(content: Sized, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const bytes = new SequentialBytes(content, chunks)
    const replace = this.#toReplace.has(content.digest)
    try {
      await this.#contents.send(dataKey(content.digest), bytes, { replace, signal: this.#signal })
      this.#toReplace.delete(content.digest)
    } finally {
      await bytes.close()
    }
  }

  /** Agents that host the repository in this bucket list a manifest with a subject by its entry, which is there before the link. */
  async addManifest(
    repository: Repository,
    { digest, bytes, subject }: { digest: Digest; bytes: Uint8Array; subject?: Digest | undefined },
  ) {
    const options = { sha256: await sha256Of(bytes), signal: this.#signal }
    const isWritten = await this.#bucket.put(dataKey(digest), bytes, options)
    // The object that was there may be removed as an old one before its link is written.
    if (!isWritten && !(await this.#staysFor(repository, 'manifest', digest)))
      await this.#bucket.put(dataKey(digest), bytes, { ...options, replace: true })
    const entry = subject && this.#layout.referrerKey(repository, subject, digest)
    if (entry !== undefined) await this.#links.write(entry, digest, { signal: this.#signal })
    await this.link(repository, 'manifest', digest)
  }

  /** Says that the repository has a content. Rejects when its bytes are not there (any more). */
  async link(repository: Repository, kind: 'manifest' | 'blob', digest: Digest): Promise<void> {
    const options = { signal: this.#signal }
    const link = this.#layout.contentKeys({ kind, digest, repository })?.link
    if (link === undefined) return
    const isLinked = await this.#links.makeYoung(link, digest, options)
    const isThere = isLinked
      ? await this.#exists(digest)
      : await this.#links.makeBytesYoung(dataKey(digest), options)
    if (!isThere) {
      const source = this.#bucket.name
      throw new Failure('unavailable', `${source}: ${digest} was removed while it was copied.`, { source })
    }
    if (!isLinked) await this.#links.write(link, digest, options)
  }

  /** Sets a tag, whose manifest is there with all that it needs. */
  async tag(repository: Repository, tag: string, digest: Digest): Promise<void> {
    const options = { signal: this.#signal }
    const keys = [this.#layout.tagIndexKey(repository, tag, digest), this.#layout.tagKey(repository, tag)]
    for (const key of keys) if (key !== undefined) await this.#links.write(key, digest, options)
  }

  /** Removes a tag. What only its image needs is removed by `agent gc --object-store`. */
  async untag(repository: Repository, tag: string): Promise<void> {
    const options = { signal: this.#signal }
    const link = this.#layout.tagKey(repository, tag)
    if (link === undefined) return
    const folder = `${this.#layout.tagsFolder(repository)}${tag}/`
    const others: string[] = []
    for await (const { key } of this.#bucket.list(folder, options)) if (key !== link) others.push(key)
    // The link itself goes last, so that an interrupted removal is continued by the next one.
    await this.#bucket.delete([...others, link], options)
  }

  close(): Promise<void> {
    return this.#bucket.close()
  }

  /** Whether bytes are there, and stay until they are linked. */
  async #staysFor(repository: Repository, kind: 'manifest' | 'blob', digest: Digest): Promise<boolean> {
    const options = { signal: this.#signal }
    const link = this.#layout.contentKeys({ kind, digest, repository })?.link
    const isLinked = link !== undefined && (await this.#links.makeYoung(link, digest, options))
    return isLinked ? this.#exists(digest) : this.#links.makeBytesYoung(dataKey(digest), options)
  }

  async #exists(digest: Digest): Promise<boolean> {
    return (await this.#bucket.head(dataKey(digest), { signal: this.#signal })) !== undefined
  }
}
