import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import { Failure } from '../ports/failure.ts'
import type { HeadRequestOptions, Registry, TagHead, TagRequestOptions } from '../ports/registry.ts'
import type { Source, Want } from '../ports/source.ts'
import type { TagRequests } from './client/tag-requests.ts'
import type { PeerTransfer } from './transfer/peer-transfer.ts'

/** What the registry uses of the peer network. */
export interface RegistryPeers {
  createTransfer(want: Want): Pick<PeerTransfer, 'beforeUpstream' | 'yielding' | 'afterUpstream'> | undefined
  readonly client: { readonly tags: Pick<TagRequests, 'askOwner' | 'askAnother'> }
}

/** Upstream, with this node's peers asked before it: for content, and for what a tag refers to. */
export class PeerRegistry implements Registry {
  readonly #upstream: Registry
  readonly #peers: RegistryPeers

  constructor(upstream: Registry, peers: RegistryPeers) {
    this.#upstream = upstream
    this.#peers = peers
  }

  sources(want: Want): readonly Source[] {
    const upstream = this.#upstream.sources(want)
    const transfer = this.#peers.createTransfer(want)
    if (transfer === undefined) return upstream
    const yielding = upstream.map((source) => transfer.yielding(source))
    return [transfer.beforeUpstream, ...yielding, transfer.afterUpstream]
  }

  async tag(repository: Repository, tag: string, options: TagRequestOptions): Promise<TagHead> {
    if (options.isUpstreamOnly) return this.#upstream.tag(repository, tag, options)
    const { tags } = this.#peers.client
    const ownersAnswer = await tags.askOwner(repository, tag, options)
    if (ownersAnswer !== undefined) return ownersAnswer
    try {
      return await this.#upstream.tag(repository, tag, options)
    } catch (error) {
      // Perhaps only this node cannot reach upstream, and it may be the owner of the tag itself.
      const answer = isUnreachable(error) ? await tags.askAnother(repository, tag, options) : undefined
      if (answer === undefined) throw error
      return answer
    }
  }

  head(want: Want, options: HeadRequestOptions): Promise<{ size: number; mediaType: string | undefined }> {
    return this.#upstream.head(want, options)
  }

  tags(repository: Repository, options: HeadRequestOptions): Promise<readonly string[]> {
    return this.#upstream.tags(repository, options)
  }

  referrers(repository: Repository, subject: Digest, options: { signal: AbortSignal }): Promise<Uint8Array> {
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
}

function isUnreachable(error: unknown): boolean {
  return error instanceof Failure && ['unavailable', 'stalled', 'busy'].includes(error.code)
}
