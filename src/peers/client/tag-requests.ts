import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import type { TagHead, TagRequestOptions } from '../../ports/registry.ts'
import type { Member } from '../identity/member.ts'
import { requestOnce } from '../transfer/who-has.ts'
import type { PeerClient } from '../wire/peer-client.ts'
import { parseMessage, TagAnswer } from '../wire/protocol/messages.ts'
import type { Owners } from './owners.ts'

/** The owner of a tag may have to ask upstream before it answers. */
const ANSWER_MS = 8000

/** Asks other members what a tag refers to. */
export class TagRequests {
  readonly #owners: Owners
  readonly #peerClient: PeerClient
  /** The tags for which this node waits for the owner's answer. */
  readonly #waiting = new Set<string>()

  constructor(owners: Owners, peerClient: PeerClient) {
    this.#owners = owners
    this.#peerClient = peerClient
  }

  isWaitingFor(repository: Repository, tag: string): boolean {
    return this.#waiting.has(tagKey(repository, tag))
  }

  /** Asks the owner of the tag. Gives undefined when this node is the owner, or the owner does not answer. */
  async askOwner(
    repository: Repository,
    tag: string,
    { signal }: { signal: AbortSignal },
  ): Promise<TagHead | undefined> {
    const key = tagKey(repository, tag)
    const [owner] = this.#owners.first(key, 1)
    if (owner === undefined || owner.id === this.#owners.self.id) return undefined
    this.#waiting.add(key)
    try {
      return await this.#ask(owner, repository, tag, { signal })
    } finally {
      this.#waiting.delete(key)
    }
  }

  /**
   * Asks the first member in the order of the tag that is neither the owner nor this node to ask upstream. That member may
   * be waiting for this node's own answer, so it must not ask the owner.
   */
  async askAnother(
    repository: Repository,
    tag: string,
    { signal }: { signal: AbortSignal },
  ): Promise<TagHead | undefined> {
    const [, ...others] = this.#owners.first(tagKey(repository, tag), 3)
    const another = others.find(({ id }) => id !== this.#owners.self.id)
    return another && this.#ask(another, repository, tag, { signal, isUpstreamOnly: true })
  }

  async #ask(
    member: Member,
    repository: Repository,
    tag: string,
    { signal, isUpstreamOnly }: TagRequestOptions,
  ): Promise<TagHead | undefined> {
    const request = { ask: 'tag', repository, tag, firsthand: isUpstreamOnly }
    try {
      const message = await requestOnce(this.#peerClient, member, request, { signal, ms: ANSWER_MS })
      const answer = parseMessage(TagAnswer, message, member.name)
      // A member that knows no such tag proves nothing: upstream may give this node another answer.
      if (answer.is === 'refused') return undefined
      const { digest, mediaType, ageMs } = answer
      return { digest, mediaType: mediaType ?? undefined, size: undefined, ageMs }
    } catch {
      signal.throwIfAborted()
      return undefined
    }
  }
}

/** The key by which a tag has an owner. */
export function tagKey(repository: Repository, tag: string): string {
  return `${repositoryKey(repository)}:${tag}`
}
