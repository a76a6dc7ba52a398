import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'
import { HOSTED_STALE_MS, type HostedBucket } from '../../ports/hosted/hosted-bucket.ts'
import type { HeadRequestOptions, Registry, TagHead, TagRequestOptions } from '../../ports/registry.ts'
import type { Source, Want } from '../../ports/source.ts'
import type { BucketSource } from '../reading/bucket-source.ts'

export interface BucketAsUpstreamOptions {
  readonly isHosted: (repository: Repository) => boolean
  readonly objects: HostedBucket
  readonly source: BucketSource
  /** The registry for all other repositories. */
  readonly next: Registry
}

/** The bucket in the place of upstream, for the hosted repositories that are in it. */
export class BucketAsUpstream implements Registry {
  readonly #isHosted: (repository: Repository) => boolean
  readonly #objects: HostedBucket
  readonly #source: BucketSource
  readonly #next: Registry

  constructor({ isHosted, objects, source, next }: BucketAsUpstreamOptions) {
    this.#isHosted = isHosted
    this.#objects = objects
    this.#source = source
    this.#next = next
  }

  /** While the bucket is paused, it says so: no other source could have the content. */
  sources(want: Want): readonly Source[] {
    return this.#isHosted(want.repository) ? [this.#source] : this.#next.sources(want)
  }

  async tag(repository: Repository, tag: string, options: TagRequestOptions): Promise<TagHead> {
    if (!this.#isHosted(repository)) return this.#next.tag(repository, tag, options)
    const digest = await this.#objects.tag(repository, tag, options)
    if (digest === undefined) throw this.#absent(`the tag ${tag} of ${repositoryKey(repository)}`)
    return { digest, mediaType: undefined, size: undefined }
  }

  async head(want: Want, options: HeadRequestOptions) {
    if (!this.#isHosted(want.repository)) return this.#next.head(want, options)
    const size = await this.#source.size(want, options)
    if (size === undefined) throw this.#absent(want.digest)
    return { size, mediaType: undefined }
  }

  async tags(repository: Repository, options: HeadRequestOptions): Promise<readonly string[]> {
    if (!this.#isHosted(repository)) return this.#next.tags(repository, options)
    const tags = await this.#objects.tags(repository, options)
    if (tags === undefined) throw this.#absent(repositoryKey(repository))
    return tags
  }

  referrers(repository: Repository, subject: Digest, options: { signal: AbortSignal }): Promise<Uint8Array> {
    if (!this.#isHosted(repository)) return this.#next.referrers(repository, subject, options)
    const message = `The referrers in ${repositoryKey(repository)} are listed by the resolver of hosted repositories.`
    return Promise.reject(new Failure('unsupported', message))
  }

  isPrivate(repository: Repository): Promise<boolean> {
    return this.#isHosted(repository) ? Promise.resolve(false) : this.#next.isPrivate(repository)
  }

  hasCredentials(repository: Repository): Promise<boolean> {
    return this.#isHosted(repository) ? Promise.resolve(false) : this.#next.hasCredentials(repository)
  }

  freshness(repository: Repository): { tagTtlMs: number; staleIfErrorMs: number } {
    if (!this.#isHosted(repository)) return this.#next.freshness(repository)
    return { tagTtlMs: 0, staleIfErrorMs: HOSTED_STALE_MS }
  }

  #absent(what: string): Failure {
    return new Failure('absent', `${this.#objects.name} does not have ${what}.`, {
      source: this.#objects.name,
    })
  }
}
