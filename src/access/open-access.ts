import type { Repository } from '../oci/names/repository.ts'
import type { AccessControl } from '../ports/access.ts'
import { LoginAccess } from './access-control.ts'
import { Challenges } from './challenges.ts'
import { Logins } from './logins.ts'
import type { AccessOptions } from './options/access-options.ts'
import { PasswordLogins } from './passwords/password-logins.ts'
import { AccessRules } from './rules/access-rules.ts'

interface OpenAccessOptions {
  readonly isHosted: (repository: Repository) => boolean
  /** How long it may take until a change of a file is noticed. */
  readonly checkMs?: number
}

/** Reads what decides about access. Rejects when a file of it cannot be used. */
export async function openAccess(
  options: AccessOptions,
  { isHosted, checkMs }: OpenAccessOptions,
): Promise<AccessControl> {
  const { htpasswd, token, clientCertificates } = options
  const check = checkMs === undefined ? {} : { checkMs }
  const passwords = htpasswd === undefined ? undefined : await PasswordLogins.open(htpasswd, check)
  const tokens = token === undefined ? undefined : await openTokens(token, { isHosted, ...check })
  return new LoginAccess({
    logins: new Logins({ passwords, tokens, takesCertificates: clientCertificates !== undefined }),
    rules: new AccessRules(options),
    challenges: new Challenges(options, isHosted),
  })
}

/** Loads the library for tokens only where they are used. */
async function openTokens(...given: Parameters<typeof import('./tokens/token-logins.ts').TokenLogins.open>) {
  const { TokenLogins } = await import('./tokens/token-logins.ts')
  return TokenLogins.open(...given)
}
