import type { Repository } from '../../oci/names/repository.ts'
import type { Token } from '../auth/token.ts'
import type { Quota } from './quota.ts'

/** What a token is to be good for besides to pull, and where it is given out. */
export interface TokenWish {
  readonly repository: Repository
  readonly host: string
  readonly realm: string
  readonly service: string | undefined
  /** Others than the one to pull. */
  readonly scopes: readonly string[]
}

/** How much a registry lets itself be asked, as it has told one of them. */
export interface LimitWord {
  readonly host: string
  /** It is not to be asked for so long; 0: it may be. */
  readonly closedMs: number
  readonly quota: Quota | undefined
  /** How long ago it has said so. */
  readonly ageMs: number
}

/** Others who use the same registries, and spare them what one of them has asked already. */
export interface Commons {
  /**
   * A token that one of them has, or gets, with the very same credential; undefined when there is none within a moment.
   * `identity` is the same for those who would be given the same token, and for nobody else.
   */
  token(
    wish: TokenWish,
    identity: () => Promise<string>,
    options: { signal: AbortSignal },
  ): Promise<Token | undefined>
  /** Tells them what a registry has told this agent, for all who have the same identity. */
  tell(word: LimitWord, identity: string): void
  /** What they have told last. */
  heard(identity: string): LimitWord | undefined
}
