import type { PeerNetwork } from './network.ts'
import type { Told } from './sharing/share-rate-limits.ts'

/** Exchanges rate-limit notices with the peers, once there are any. */
export class PeerCommons {
  readonly #network: () => PeerNetwork | undefined

  constructor(network: () => PeerNetwork | undefined) {
    this.#network = network
  }

  send(notice: Told, identity: string): void {
    this.#network()?.words.tell(notice, identity)
  }

  latest(identity: string): Told | undefined {
    return this.#network()?.words.heard(identity)
  }
}
