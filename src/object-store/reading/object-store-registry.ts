import { BoundedMap } from '../../lib/bounded-map.ts'
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import type { HeadRequestOptions, Registry, TagHead, TagRequestOptions } from '../../ports/registry.ts'
import type { Source, Want } from '../../ports/source.ts'
import type { BucketNames } from './bucket-names.ts'
import type { BucketSource } from './bucket-source.ts'
import { type UpstreamFirstLimits, upstreamFirst } from './upstream-first.ts'

const LIMITS: UpstreamFirstLimits = { upstreamAloneMs: 3_000, bucketMs: 5_000, lateMs: 25_000 }
const MAX_LATE = 10_000

type Options = { readonly signal: AbortSignal }

export interface ObjectStoreRegistryOptions {
  readonly upstream: Registry
  readonly source: BucketSource
  readonly names: BucketNames
  readonly limits?: UpstreamFirstLimits
}

/** What upstream has said of a tag after the bucket: the next request gets it. */
interface LateAnswer {
  /** Undefined: upstream has refused. */
  readonly head: TagHead | undefined
  /** By the clock that is never set back. */
  readonly at: number
}

/** Upstream, with a bucket asked before it for content, and after it for what it cannot be asked. */
export class ObjectStoreRegistry implements Registry {
  readonly #upstream: Registry
  readonly #source: BucketSource
  readonly #names: BucketNames
  readonly #limits: UpstreamFirstLimits
  readonly #late = new BoundedMap<string, LateAnswer>(MAX_LATE)

  constructor({ upstream, source, names, limits = LIMITS }: ObjectStoreRegistryOptions) {
    this.#upstream = upstream
    this.#source = source
    this.#names = names
    this.#limits = limits
  }

  sources(want: Want): readonly Source[] {
    const upstream = this.#upstream.sources(want)
    return this.#source.canBring(want) ? [this.#source, ...upstream] : upstream
  }

  async tag(repository: Repository, tag: string, options: TagRequestOptions): Promise<TagHead> {
    const key = `${repositoryKey(repository)}:${tag}`
    const late = this.#late.get(key)
    if (late?.head !== undefined && ageOf(late) < this.freshness(repository).tagTtlMs) {
      return { ...late.head, ageMs: ageOf(late) }
    }
    return upstreamFirst({
      askUpstream: (signal) => this.#upstream.tag(repository, tag, { ...options, signal }),
      askBucket: (signal) => this.#staleTag(repository, tag, { late, signal }),
      onLate: (head) => this.#late.set(key, { head, at: performance.now() }),
      limits: this.#limits,
      signal: options.signal,
    })
  }

  head(want: Want, options: HeadRequestOptions): Promise<{ size: number; mediaType: string | undefined }> {
    if (options.isAnonymous) return this.#upstream.head(want, options)
    return this.#upstreamOr(
      (signal) => this.#upstream.head(want, { signal }),
      async (signal) => {
        const size = await this.#source.size(want, { signal })
        return size === undefined ? undefined : { size, mediaType: undefined }
      },
      options,
    )
  }

  tags(repository: Repository, options: HeadRequestOptions): Promise<readonly string[]> {
    if (options.isAnonymous) return this.#upstream.tags(repository, options)
    return this.#upstreamOr(
      (signal) => this.#upstream.tags(repository, { signal }),
      (signal) => this.#names.tags(repository, { signal }),
      options,
    )
  }

  referrers(repository: Repository, subject: Digest, options: HeadRequestOptions): Promise<Uint8Array> {
    return this.#upstream.referrers(repository, subject, options)
  }

  isPrivate(repository: Repository): Promise<boolean> {
    return this.#upstream.isPrivate(repository)
  }

  hasCredentials(repository: Repository): Promise<boolean> {
    return this.#upstream.hasCredentials(repository)
  }

  freshness(repository: Repository): { tagTtlMs: number; staleIfErrorMs: number } {
    return this.#upstream.freshness(repository)
  }

  #upstreamOr<Answer>(
    askUpstream: (signal: AbortSignal) => Promise<Answer>,
    askBucket: (signal: AbortSignal) => Promise<Answer | undefined>,
    { signal }: Options,
  ): Promise<Answer> {
    return upstreamFirst({ askUpstream, askBucket, limits: this.#limits, signal })
  }

  /** What the bucket says of a tag, or what upstream has said later than that; undefined when it is too old. */
  async #staleTag(
    repository: Repository,
    tag: string,
    { late, signal }: { readonly late: LateAnswer | undefined } & Options,
  ): Promise<TagHead | undefined> {
    const found = await this.#names.tag(repository, tag, { signal })
    const isLateYounger = late !== undefined && ageOf(late) <= (found?.ageMs ?? Number.POSITIVE_INFINITY)
    const head = isLateYounger ? headOf(late) : found
    const { tagTtlMs, staleIfErrorMs } = this.freshness(repository)
    return (head?.ageMs ?? 0) < tagTtlMs + staleIfErrorMs ? head : undefined
  }
}

/** How long ago upstream has answered. */
function ageOf({ at }: LateAnswer): number {
  return performance.now() - at
}

function headOf(late: LateAnswer): TagHead | undefined {
  return late.head === undefined ? undefined : { ...late.head, ageMs: ageOf(late) }
}
