import { Deferred } from '../../lib/async/deferred.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'
import type { Registry, TagHead, TagRequestOptions } from '../../ports/registry.ts'
import type { Source, Want } from '../../ports/source.ts'
import type { BucketNames } from './bucket-names.ts'
import type { BucketSource } from './bucket-source.ts'

/** A client waits for a tag: upstream gets so much time before the bucket is asked, too. */
const UPSTREAM_FIRST_MS = 3_000

type Options = { readonly signal: AbortSignal }

export interface ObjectStoreRegistryOptions {
  readonly upstream: Registry
  readonly source: BucketSource
  readonly names: BucketNames
  /** How long upstream alone is asked for a tag. */
  readonly upstreamFirstMs?: number
}

/** Upstream, with a bucket asked before it for content, and after it for what it cannot be asked. */
export class ObjectStoreRegistry implements Registry {
  readonly #upstream: Registry
  readonly #source: BucketSource
  readonly #names: BucketNames
  readonly #upstreamFirstMs: number

  constructor({ upstream, source, names, upstreamFirstMs = UPSTREAM_FIRST_MS }: ObjectStoreRegistryOptions) {
    this.#upstream = upstream
    this.#source = source
    this.#names = names
    this.#upstreamFirstMs = upstreamFirstMs
  }

  sources(want: Want): readonly Source[] {
    const upstream = this.#upstream.sources(want)
    return this.#source.canBring(want) ? [this.#source, ...upstream] : upstream
  }

  tag(repository: Repository, tag: string, options: TagRequestOptions): Promise<TagHead> {
    return this.#upstreamOr(
      (signal) => this.#upstream.tag(repository, tag, { ...options, signal }),
      (signal) => this.#names.tag(repository, tag, { signal }),
      options,
    )
  }

  head(want: Want, options: Options): Promise<{ size: number; mediaType: string | undefined }> {
    return this.#upstreamOr(
      (signal) => this.#upstream.head(want, { signal }),
      async (signal) => {
        const size = await this.#source.size(want, { signal })
        return size === undefined ? undefined : { size, mediaType: undefined }
      },
      options,
    )
  }

  tags(repository: Repository, options: Options): Promise<readonly string[]> {
    return this.#upstreamOr(
      (signal) => this.#upstream.tags(repository, { signal }),
      (signal) => this.#names.tags(repository, { signal }),
      options,
    )
  }

  referrers(repository: Repository, subject: Digest, options: Options): Promise<Uint8Array> {
    return this.#upstream.referrers(repository, subject, options)
  }

  isPrivate(repository: Repository): Promise<boolean> {
    return this.#upstream.isPrivate(repository)
  }

  freshness(repository: Repository): { tagTtlMs: number; staleIfErrorMs: number } {
    return this.#upstream.freshness(repository)
  }

  /**
   * Gives upstream's answer. If upstream cannot be asked, or has not answered for a while, the bucket is asked; what it does
   * not know, or cannot say, is left to upstream.
   */
  async #upstreamOr<Answer>(
    askUpstream: (signal: AbortSignal) => Promise<Answer>,
    askBucket: (signal: AbortSignal) => Promise<Answer | undefined>,
    { signal }: Options,
  ): Promise<Answer> {
    const over = new AbortController()
    const within = AbortSignal.any([signal, over.signal])
    const isSlow = new Deferred<'slow'>()
    const timer = setTimeout(() => isSlow.resolve('slow'), this.#upstreamFirstMs)
    const upstream = askUpstream(within)
    upstream.catch(() => {})
    try {
      const first = await Promise.race([settled(upstream), isSlow.promise])
      if (first !== 'slow' && (first.error === undefined || !isUnreachable(first.error)))
        return await upstream
      signal.throwIfAborted()
      const answer = await askBucket(within).catch(() => undefined)
      return answer ?? (await upstream)
    } finally {
      clearTimeout(timer)
      over.abort(new Failure('stopping', 'The answer is not needed any more.'))
    }
  }
}

function settled(promise: Promise<unknown>): Promise<{ readonly error: unknown }> {
  return promise.then(
    () => ({ error: undefined }),
    (error: unknown) => ({ error }),
  )
}

function isUnreachable(error: unknown): boolean {
  return error instanceof Failure && ['unavailable', 'stalled', 'busy'].includes(error.code)
}
