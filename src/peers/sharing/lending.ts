import { BoundedMap } from '../../lib/bounded-map.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'
import type { Member, MemberId } from '../identity/member.ts'
import type { Pseudonyms } from '../identity/pseudonyms.ts'
import { askOnce } from '../transfer/who-has.ts'
import type { Line } from '../wire/exchange.ts'
import { type Ask, parse, TokenAnswer } from '../wire/messages.ts'
import type { Dialer } from '../wire/peer-client.ts'

const ASK_MS = 1000
/** So many owners are asked, since the first may have another credential or be about to go. */
const LENDERS = 2
/** Who did not answer is left alone. */
const SILENT_MS = 30_000
const MOST_SILENT = 1000
/** That this node gets for others at the same time. */
const MOST_LOANS = 256

/** A token of a registry's token service, and how long it is good for. */
export interface Loan {
  readonly token: string
  readonly lifetimeMs: number
}

/** What a token is for. */
export interface LoanTerms {
  readonly repository: Repository
  /** The registry's. */
  readonly host: string
  readonly realm: string
  readonly service: string | undefined
  readonly scopes: readonly string[]
}

/** This node's own, kept or got for it, if `isSame` recognizes whoever it would get it as. */
export type Lend = (
  terms: LoanTerms,
  isSame: (identity: string) => boolean,
  options: { signal: AbortSignal },
) => Promise<Loan | undefined>

export interface LendingOptions {
  readonly pseudonyms: Pseudonyms
  readonly dialer: Dialer
  /** Of all questions for one token: then the token service is asked. */
  readonly askMs?: number | undefined
  /** The first members in the order of the key. */
  readonly owners: (key: string, count: number) => readonly Member[]
  readonly lend: Lend
}

/**
 * Tokens of token services, which one member gets for all that have the same credential: the owner of a pseudonym that
 * only they can come to. Nobody is given a token who could not get it himself.
 */
export class Lending {
  readonly #options: LendingOptions
  readonly #askMs: number
  readonly #silent = new BoundedMap<MemberId, true>(MOST_SILENT, { ageMs: SILENT_MS })
  #loans = 0

  constructor(options: LendingOptions) {
    this.#options = options
    this.#askMs = options.askMs ?? ASK_MS
  }

  /** Undefined when this node is to ask the token service itself. Fails with the signal's reason only. */
  async borrow(
    terms: LoanTerms,
    identity: string,
    { self, signal }: { self: MemberId; signal: AbortSignal },
  ): Promise<Loan | undefined> {
    const { pseudonyms, owners } = this.#options
    const pseudonym = pseudonyms.of(identity)
    const deadline = AbortSignal.timeout(this.#askMs)
    const within = AbortSignal.any([signal, deadline])
    for (const owner of owners(pseudonym, LENDERS)) {
      if (owner.id === self) return undefined
      if (this.#silent.has(owner.id)) continue
      try {
        const loan = await this.#ask(owner, { ask: 'token', pseudonym, ...terms }, within)
        if (loan !== undefined) return loan
      } catch {
        signal.throwIfAborted()
        this.#silent.set(owner.id, true)
        if (deadline.aborted) return undefined
      }
    }
    return undefined
  }

  async tell(
    { pseudonym, repository, host, realm, service, scopes }: Ask & { ask: 'token' },
    line: Line,
  ): Promise<void> {
    const { lend, pseudonyms } = this.#options
    if (this.#loans >= MOST_LOANS) throw new Failure('busy', 'it gets too many already')
    this.#loans += 1
    try {
      const terms = { repository, host, realm, service: service ?? undefined, scopes }
      const isSame = (identity: string): boolean => pseudonyms.isOf(pseudonym, identity)
      const loan = await lend(terms, isSame, { signal: line.gone })
      if (loan === undefined) throw new Failure('denied', 'it has no such credential')
      line.send({ is: 'token', ...loan })
    } finally {
      this.#loans -= 1
    }
  }

  async #ask(owner: Member, question: object, signal: AbortSignal): Promise<Loan | undefined> {
    const answer = await askOnce(this.#options.dialer, owner, question, { signal, ms: this.#askMs })
    const told = parse(TokenAnswer, answer, owner.name)
    return told.is === 'refused' ? undefined : { token: told.token, lifetimeMs: told.lifetimeMs }
  }
}
