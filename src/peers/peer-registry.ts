import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import { Failure } from '../ports/failure.ts'
import type { Registry, TagHead, TagRequestOptions } from '../ports/registry.ts'
import type { Source, Want } from '../ports/source.ts'
import type { PeerNetwork } from './network.ts'

/** Upstream, with this node's peers asked before it: for content, and for what a tag is. */
export class PeerRegistry implements Registry {
  readonly #upstream: Registry
  readonly #network: () => PeerNetwork | undefined

  constructor(upstream: Registry, network: () => PeerNetwork | undefined) {
    this.#upstream = upstream
    this.#network = network
  }

  sources(want: Want): readonly Source[] {
    const upstream = this.#upstream.sources(want)
    const participation = this.#network()?.participate(want)
    if (participation === undefined) return upstream
    const heeding = upstream.map((source) => participation.yielding(source))
    return [participation.beforeUpstream, ...heeding, participation.afterUpstream]
  }

  async tag(repository: Repository, tag: string, options: TagRequestOptions): Promise<TagHead> {
    const network = options.isUpstreamOnly ? undefined : this.#network()
    const known = await network?.tag(repository, tag, options)
    if (known !== undefined) return known
    try {
      return await this.#upstream.tag(repository, tag, options)
    } catch (error) {
      // It may be this node alone that does not reach upstream, and it may be the owner.
      const heard = isOutOfReach(error) ? await network?.tagOfAnother(repository, tag, options) : undefined
      if (heard === undefined) throw error
      return heard
    }
  }

  head(
    want: Want,
    options: { signal: AbortSignal },
  ): Promise<{ size: number; mediaType: string | undefined }> {
    return this.#upstream.head(want, options)
  }

  tags(repository: Repository, options: { signal: AbortSignal }): Promise<readonly string[]> {
    return this.#upstream.tags(repository, options)
  }

  referrers(repository: Repository, subject: Digest, options: { signal: AbortSignal }): Promise<Uint8Array> {
    return this.#upstream.referrers(repository, subject, options)
  }

  isPrivate(repository: Repository): Promise<boolean> {
    return this.#upstream.isPrivate(repository)
  }

  freshness(repository: Repository): { tagTtlMs: number; staleIfErrorMs: number } {
    return this.#upstream.freshness(repository)
  }
}

function isOutOfReach(error: unknown): boolean {
  return error instanceof Failure && ['unavailable', 'stalled', 'busy'].includes(error.code)
}
