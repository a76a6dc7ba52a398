import type { Repository } from '../oci/repository.ts'
import type { Token } from './token.ts'

/** What a token is to be good for besides to pull, and where it is given out. */
export interface TokenWish {
  readonly repository: Repository
  readonly host: string
  readonly realm: string
  readonly service: string | undefined
  /** Others than the one to pull. */
  readonly scopes: readonly string[]
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
}
