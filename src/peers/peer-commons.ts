import type { Loan, LoanTerms } from './lending.ts'
import type { PeerNetwork } from './network.ts'

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
}
