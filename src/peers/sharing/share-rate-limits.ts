import type { Pseudonyms } from '../identity/pseudonyms.ts'
import type { NoticeChannel, RateLimitNotice } from '../membership/gossip/rate-limit-notices.ts'

/** 128 bits of a pseudonym in hex, which is enough that no two rate limits get the same pseudonym. */
const PSEUDONYM_LENGTH = 32

/**
 * Shares rate-limit notices with the members that have the same rate limit. `identity` names the rate limit, for example
 * by a registry and a credential. The notices carry a pseudonym of it, so that other members learn nothing about the
 * credential.
 */
export class RateLimitSharing {
  readonly #pseudonyms: Pseudonyms
  readonly #channel: NoticeChannel

  constructor(pseudonyms: Pseudonyms, channel: NoticeChannel) {
    this.#pseudonyms = pseudonyms
    this.#channel = channel
  }

  send(notice: RateLimitNotice, identity: string): void {
    this.#channel.send({ ...notice, pseudonym: this.#pseudonyms.of(identity).slice(0, PSEUDONYM_LENGTH) })
  }

  /** The latest notice about this rate limit. */
  latest(identity: string): RateLimitNotice | undefined {
    for (const pseudonym of this.#pseudonyms.all(identity)) {
      const notice = this.#channel.latest(pseudonym.slice(0, PSEUDONYM_LENGTH))
      if (notice !== undefined) return notice
    }
    return undefined
  }

  /** Calls `listener` with the host of each notice that another member has sent. Returns a function that removes the listener. */
  onReceived(listener: (host: string) => void): () => void {
    return this.#channel.onReceived(listener)
  }
}
