import { RateLimiter } from '../lib/async/rate-limiter.ts'
import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import { Failure } from '../ports/failure.ts'
import type { HostedBucket } from '../ports/hosted/hosted-bucket.ts'
import type { BodyClient } from '../ports/object-store/body-client.ts'
import type { Registry } from '../ports/registry.ts'
import { Bucket } from './client/bucket.ts'
import type { BucketProxies } from './client/bucket-requests.ts'
import { ObjectBodies } from './client/object-bodies.ts'
import { BucketAsUpstream } from './hosted/bucket-as-upstream.ts'
import { HostedObjects } from './hosted/hosted-objects.ts'
import { DistributionLayout } from './layout/distribution.ts'
import type { Layout } from './layout/layout.ts'
import { OciRegistryLayout } from './layout/oci-registry.ts'
import type { ObjectStoreOptions } from './options/store-options.ts'
import { BucketNames } from './reading/bucket-names.ts'
import { BucketSource } from './reading/bucket-source.ts'
import { ObjectStoreRegistry } from './reading/object-store-registry.ts'
import { ContentUpload } from './upload/content-upload.ts'
import type { UploadStore } from './upload/upload-store.ts'
import { Uploads, type UploadsState } from './upload/uploads.ts'

const DEFAULT_READ_RANGES = 4
/** How long one request that is not the body of a content may take. */
const REQUEST_DEADLINE_MS = 60_000
/** How long a report waits for the bucket. */
const FIND_DEADLINE_MS = 2_000

export interface ObjectStoreParts {
  readonly userAgent: string
  readonly proxies: BucketProxies | undefined
  readonly bodies: BodyClient
  /** What is uploaded is read from it. */
  readonly store: UploadStore
  /** Which repositories take pushes of clients. */
  readonly isHosted: (repository: Repository) => boolean
  /** How long the bucket may take to say what hosted repositories have; default: 5 s. */
  readonly answerMs?: number | undefined
}

export interface ObjectStoreState {
  readonly name: string
  /** Why the bucket is not asked now. */
  readonly paused: string | undefined
  readonly lastError: { readonly message: string; readonly at: number } | undefined
  readonly uploads: UploadsState
}

/** What the bucket has of one content. */
export interface ObjectStoreContent {
  readonly name: string
  /** null: it was not asked, or gave no answer, for the reason in `problem`. */
  readonly has: boolean | null
  readonly problem: string | null
}

/** A bucket as a second tier: asked before upstream, and filled with what came from there. */
export class ObjectStore {
  readonly #bucket: Bucket
  readonly #bodies: ObjectBodies
  readonly #source: BucketSource
  readonly #names: BucketNames
  readonly #uploads: Uploads | undefined
  readonly #isHosted: (repository: Repository) => boolean
  /** The hosted repositories that are in it; undefined: they are elsewhere. */
  readonly hosted: HostedBucket | undefined

  constructor(options: ObjectStoreOptions, parts: ObjectStoreParts) {
    const bucket = new Bucket({ ...parts, bucket: options, deadlineMs: REQUEST_DEADLINE_MS })
    const bodies = new ObjectBodies(bucket.requests, parts.bodies)
    const distribution = new DistributionLayout({ registry: options.registry })
    const isReadOnly = options.layout === 'oci-registry'
    const layout: Layout = isReadOnly ? new OciRegistryLayout() : distribution
    const source = new BucketSource({
      bucket,
      bodies,
      layout,
      parallel: options.readRanges ?? DEFAULT_READ_RANGES,
    })
    this.#bucket = bucket
    this.#bodies = bodies
    this.#source = source
    this.#names = new BucketNames({ bucket, layout, source })
    const { store, isHosted, answerMs } = parts
    this.#isHosted = isHosted
    this.#uploads = isReadOnly
      ? undefined
      : new Uploads({ bucket, layout: distribution, store, options, isHosted })
    const contents = new ContentUpload({ bucket, rate: new RateLimiter(undefined) })
    this.hosted =
      options.hosted === true
        ? new HostedObjects({ bucket, layout: distribution, contents, source, answerMs })
        : undefined
  }

  /** What reports say of it. */
  get state(): ObjectStoreState {
    const { circuit, lastError } = this.#source.state
    return {
      name: this.#bucket.name,
      paused: circuit.state === 'closed' ? undefined : circuit.reason,
      lastError,
      uploads: this.#uploads?.state ?? { waiting: 0, dropped: 0, problem: undefined },
    }
  }

  /** Says for a report whether it has the content; undefined when it is not asked for contents of the repository. */
  async find(repository: Repository, digest: Digest): Promise<ObjectStoreContent | undefined> {
    const { name } = this.#bucket
    if (!this.#source.covers(repository)) return undefined
    const { paused } = this.state
    if (paused !== undefined) return { name, has: null, problem: paused }
    try {
      const signal = AbortSignal.timeout(FIND_DEADLINE_MS)
      return { name, has: await this.#source.has(repository, digest, { signal }), problem: null }
    } catch (error) {
      const why = error instanceof Failure ? error.message : `${name} does not answer in time.`
      return { name, has: null, problem: why }
    }
  }

  /** Begins to fill the bucket. */
  startUploads(): void {
    this.#uploads?.start()
  }

  /** Resolves when all that was to be uploaded is in the bucket. */
  async uploaded(): Promise<void> {
    await this.#uploads?.idle()
  }

  /** Upstream, with this bucket before it, and in its place for the hosted repositories that the bucket has. */
  registry(upstream: Registry): Registry {
    const source = this.#source
    const next = new ObjectStoreRegistry({ upstream, source, names: this.#names })
    const objects = this.hosted
    return objects === undefined
      ? next
      : new BucketAsUpstream({ isHosted: this.#isHosted, objects, source, next })
  }

  async close(): Promise<void> {
    await this.#uploads?.stop()
    await Promise.all([this.#bucket.close(), this.#bodies.close()])
  }
}
