import { RateLimiter } from '../../lib/async/rate-limiter.ts'
import { BoundedMap } from '../../lib/bounded-map.ts'
import { publish, subscribe } from '../../observe/events.ts'
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import { type BlobFacts, RECOVERED } from '../../ports/blob-store.ts'
import type { Bucket } from '../client/bucket.ts'
import { MultipartUploads } from '../client/multipart.ts'
import { DISTRIBUTION_ROOT, type DistributionLayout } from '../layout/distribution.ts'
import type { ObjectStoreOptions } from '../options/store-options.ts'
import { ContentUpload } from './content-upload.ts'
import { FillPolicy } from './fill-policy.ts'
import { JobRunner } from './job-runner.ts'
import { UploadQueue } from './upload-queue.ts'
import type { UploadJob, UploadStore } from './upload-store.ts'

const DEFAULT_CONCURRENCY = 2
const MAX_WAITING = 10_000
/** The store is searched for what is not in the bucket: after the start, and then so often. */
const SEARCH_EVERY_MS = 60 * 60 * 1000
/** An upload that was begun longer ago is continued by nobody. */
const STALE_UPLOAD_MS = 24 * 60 * 60 * 1000
const RENEW_TAG_MS = 24 * 60 * 60 * 1000

export interface UploadsOptions {
  readonly bucket: Bucket
  readonly layout: DistributionLayout
  readonly store: UploadStore
  readonly options: ObjectStoreOptions
  /** What clients push is not uploaded from here. */
  readonly isHosted: (repository: Repository) => boolean
}

export interface UploadsState {
  readonly waiting: number
  readonly dropped: number
  readonly problem: string | undefined
}

/** Fills a bucket in the background with what came from upstream. */
export class Uploads {
  readonly #bucket: Bucket
  readonly #store: UploadStore
  readonly #policy: FillPolicy
  readonly #runner: JobRunner
  readonly #queue: UploadQueue<UploadJob>
  readonly #tags = new BoundedMap<string, true>(MAX_WAITING, { ttlMs: RENEW_TAG_MS })
  readonly #stopping = new AbortController()
  #subscriptions: readonly (() => void)[] = []
  #timer: NodeJS.Timeout | undefined
  readonly #working = new Set<Promise<void>>()
  #problem: string | undefined

  constructor({ bucket, layout, store, options, isHosted }: UploadsOptions) {
    this.#bucket = bucket
    this.#store = store
    this.#policy = new FillPolicy(options, store, isHosted)
    const contents = new ContentUpload({ bucket, rate: new RateLimiter(options.uploadRate) })
    this.#runner = new JobRunner({ bucket, layout, store, contents })
    this.#queue = new UploadQueue({
      concurrency: options.uploadConcurrency ?? DEFAULT_CONCURRENCY,
      most: MAX_WAITING,
      keyOf,
      preferred: (waiting, added) => (waiting.is === 'content' && waiting.isConfirmed ? waiting : added),
      run: (job, within) => this.#runner.run(job, within),
      onFailing: (failure) => {
        this.#problem = failure?.message
        publish('object-store.uploads-failing', { bucket: bucket.name, problem: failure?.message })
      },
    })
  }

  get state(): UploadsState {
    return { waiting: this.#queue.waiting, dropped: this.#queue.dropped, problem: this.#problem }
  }

  start(): void {
    if (!this.#policy.isFilling) return
    this.#subscriptions = [
      subscribe('flight.ended', ({ isStored, digest, repository }) => {
        if (!isStored) return
        this.#inBackground(async () => {
          await this.#offer(digest, repository)
          // An image may have been pulled often enough before its manifest was stored.
          for (const each of await this.#policy.neededBy(digest, repository))
            await this.#offer(each, repository)
        })
      }),
      subscribe('tag.revalidated', ({ repository, tag, outcome }) => {
        if (outcome !== 'new' && outcome !== 'moved' && outcome !== 'same') return
        this.#offerTag(repository, tag, outcome)
      }),
      subscribe('manifest.pulled', ({ digest, repository }) => {
        this.#inBackground(async () => {
          for (const each of await this.#policy.countPull(digest, repository))
            await this.#offer(each, repository)
        })
      }),
      subscribe('verify.failed', ({ digest, source }) => {
        if (source === this.#bucket.name) this.#runner.markWrong(digest)
      }),
    ]
    this.#search()
    this.#timer = setInterval(() => this.#search(), SEARCH_EVERY_MS).unref()
  }

  /** Resolves when all that was to be uploaded is in the bucket. */
  async idle(): Promise<void> {
    await Promise.all(this.#working)
    await this.#queue.idle()
  }

  async stop(): Promise<void> {
    for (const unsubscribe of this.#subscriptions) unsubscribe()
    clearInterval(this.#timer)
    this.#stopping.abort()
    await this.#queue.stop()
    await Promise.all(this.#working)
  }

  /** Events are those of the process, so the store of this agent decides. */
  async #offer(digest: Digest, repository: Repository): Promise<void> {
    const facts = await this.#store.blobs.facts(digest)
    if (facts !== undefined) await this.#offerStored(facts, repository, { isConfirmed: true })
  }

  async #offerStored(
    facts: BlobFacts,
    repository: Repository,
    { isConfirmed }: { readonly isConfirmed: boolean },
  ): Promise<void> {
    const { digest, kind } = facts
    if (await this.#policy.isWanted(facts, repository)) {
      this.#queue.add({ is: 'content', digest, kind, repository, isConfirmed })
    }
  }

  #offerTag(repository: Repository, tag: string, outcome: 'new' | 'moved' | 'same'): void {
    const key = `${repositoryKey(repository)}:${tag}`
    if (!this.#policy.isNamed(repository) || (outcome === 'same' && this.#tags.has(key))) return
    this.#tags.set(key, true)
    this.#queue.add({ is: 'tag', repository, tag })
    this.#inBackground(() => this.#offerRecovered(repository, tag))
  }

  /** A crash may have left contents of the image on disk of which the store does not know that the repository has them. */
  async #offerRecovered(repository: Repository, tag: string): Promise<void> {
    const record = await this.#store.catalog.tag(repository, tag)
    const digests = record === undefined ? [] : [record.digest]
    const known = new Set(digests)
    for (let next = digests.pop(); next !== undefined; next = digests.pop()) {
      const facts = await this.#store.blobs.facts(next)
      if (facts?.origin === RECOVERED) await this.#offerStored(facts, repository, { isConfirmed: true })
      for (const digest of await this.#store.references(next)) {
        if (!known.has(digest)) digests.push(digest)
        known.add(digest)
      }
    }
  }

  /** Finds what an earlier run, or a full queue, has left out, and removes uploads that nobody continues. */
  #search(): void {
    this.#inBackground(async () => {
      await this.#removeStaleUploads()
      for await (const facts of this.#store.list()) {
        if (this.#stopping.signal.aborted) return
        for (const repository of await this.#store.repositoriesOf(facts.digest)) {
          await this.#offerStored(facts, repository, { isConfirmed: false })
        }
      }
    })
  }

  async #removeStaleUploads(): Promise<void> {
    const uploads = new MultipartUploads(this.#bucket)
    const { signal } = this.#stopping
    try {
      for await (const upload of uploads.list(`${DISTRIBUTION_ROOT}/`, { signal })) {
        if (Date.now() - upload.startedAt > STALE_UPLOAD_MS) await uploads.abort(upload, { signal })
      }
    } catch {
      // The bucket cannot be asked now; the next search removes them.
    }
  }

  #inBackground(work: () => Promise<void>): void {
    const working = work()
      .catch(() => {
        // The store is closing, or cannot be read: the next search finds what was left out.
      })
      .finally(() => this.#working.delete(working))
    this.#working.add(working)
  }
}

function keyOf(job: UploadJob): string {
  const name = repositoryKey(job.repository)
  return job.is === 'content' ? `${name}@${job.digest}` : `${name}:${job.tag}`
}
