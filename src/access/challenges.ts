import type { Repository } from '../oci/names/repository.ts'
import type { Wish } from '../ports/access.ts'
import type { AccessOptions } from './options/access-options.ts'
import { scopeText } from './tokens/token-grants.ts'

/** Why a token was not enough, in the words of RFC 6750. */
export type TokenError = 'invalid_token' | 'insufficient_scope'

/** Writes the values of `WWW-Authenticate` for the ways of login that take one. Clients use the first that they know. */
export class Challenges {
  readonly #options: Pick<AccessOptions, 'token' | 'htpasswd'>
  readonly #isHosted: (repository: Repository) => boolean

  constructor(
    options: Pick<AccessOptions, 'token' | 'htpasswd'>,
    isHosted: (repository: Repository) => boolean,
  ) {
    this.#options = options
    this.#isHosted = isHosted
  }

  for(wishes: readonly Wish[], error?: TokenError): readonly string[] {
    const { token, htpasswd } = this.#options
    return [
      ...(token === undefined ? [] : [this.#bearer(token, wishes, error)]),
      ...(htpasswd === undefined ? [] : ['Basic realm="leat", charset="UTF-8"']),
    ]
  }

  #bearer(
    { realm, service }: { readonly realm: string; readonly service: string },
    wishes: readonly Wish[],
    error: TokenError | undefined,
  ): string {
    const scope = scopeText(wishes, this.#isHosted)
    const parameters = [
      `realm="${realm}"`,
      `service="${service}"`,
      ...(scope === '' ? [] : [`scope="${scope}"`]),
      ...(error === undefined ? [] : [`error="${error}"`]),
    ]
    return `Bearer ${parameters.join(',')}`
  }
}
