import { type Member, PEER_PROTOCOL } from '../identity/member.ts'
import type { Membership } from '../membership/membership.ts'
import { OwnerRanking } from '../membership/owner-ranking.ts'
import type { Contact } from '../wire/protocol/messages.ts'

/** Ranks this node, and the peers that speak its protocol, as owners of digests and tags. */
export class Owners {
  readonly #membership: Membership
  #ranking: OwnerRanking | undefined

  constructor(membership: Membership) {
    this.#membership = membership
    membership.onChange(() => {
      this.#ranking = undefined
    })
  }

  get self(): Member {
    return this.#membership.self
  }

  get hasPeers(): boolean {
    return this.#peers().length > 0
  }

  /** Gives the first `count` members in the order of a key. The first one is the owner of the key. */
  first(key: string, count: number): readonly Member[] {
    const { self } = this
    this.#ranking ??= new OwnerRanking([self.id, ...this.#peers().map(({ id }) => id)])
    return this.#ranking
      .first(key, count)
      .flatMap((id) => (id === self.id ? self : (this.#membership.get(id) ?? [])))
  }

  /** Gives the first `count` members in the order of a key, without this node. */
  firstPeers(key: string, count: number): readonly Member[] {
    return this.first(key, count + 1)
      .filter(({ id }) => id !== this.self.id)
      .slice(0, count)
  }

  #peers(): readonly Member[] {
    return this.#membership.others().filter(({ protocol }) => protocol === PEER_PROTOCOL)
  }
}

export function contactOf({ id, name, host, port, fingerprint }: Member): Contact {
  return { id, name, host, port, fingerprint }
}
