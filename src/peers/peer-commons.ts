import type { PeerNetwork } from './network.ts'
import type { Loan, LoanTerms } from './sharing/lending.ts'
import type { Told } from './sharing/share-rate-limits.ts'

/** What this node's peers know of registries, for whoever asks those. */
export class PeerCommons {
  readonly #network: () => PeerNetwork | undefined

  constructor(network: () => PeerNetwork | undefined) {
    this.#network = network
  }

  async token(
    terms: LoanTerms,
    identity: () => Promise<string>,
    options: { signal: AbortSignal },
  ): Promise<Loan | undefined> {
    return this.#network()?.token(terms, identity, options)
  }

  tell(told: Told, identity: string): void {
    this.#network()?.words.tell(told, identity)
  }

  heard(identity: string): Told | undefined {
    return this.#network()?.words.heard(identity)
  }
}
