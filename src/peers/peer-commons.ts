import type { RateLimitNotice } from './membership/gossip/rate-limit-notices.ts'
import type { PeerNetwork } from './network.ts'

/** Exchanges rate-limit notices with the peers, once there are any. */
export class PeerCommons {
  readonly #network: () => PeerNetwork | undefined

  constructor(network: () => PeerNetwork | undefined) {
    this.#network = network
  }

  send(notice: RateLimitNotice, identity: string): void {
    this.#network()?.rateLimits.send(notice, identity)
  }

  latest(identity: string): RateLimitNotice | undefined {
    return this.#network()?.rateLimits.latest(identity)
  }
}
