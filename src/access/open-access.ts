import type { Repository } from '../oci/names/repository.ts'
import type { PullRights } from '../ports/access/pull-rights.ts'
import type { AccessControl } from '../ports/access.ts'
import { LoginAccess } from './access-control.ts'
import { Challenges } from './challenges.ts'
import { EverybodyAccess } from './everybody-access.ts'
import { Logins } from './logins.ts'
import type { AccessOptions } from './options/access-options.ts'
import { PasswordLogins } from './passwords/password-logins.ts'
import { PullerAccess } from './pullers/puller-access.ts'
import { AccessRules } from './rules/access-rules.ts'

interface OpenAccessOptions {
  readonly isHosted: (repository: Repository) => boolean
  readonly isAllowed: (repository: Repository) => boolean
  /** Says whether the agent would use credentials for a repository. */
  readonly isPrivate: (repository: Repository) => Promise<boolean>
  readonly pullRights: PullRights
  /** How long it may take until a change of a file is noticed. */
  readonly checkMs?: number
}

/** Reads what decides about access; without options every client may do everything. Rejects when a file cannot be used. */
export async function openAccess(
  options: AccessOptions | undefined,
  { isHosted, isAllowed, isPrivate, pullRights, checkMs }: OpenAccessOptions,
): Promise<AccessControl> {
  const check = checkMs === undefined ? {} : { checkMs }
  return new PullerAccess(pullRights, {
    next:
      options === undefined
        ? new EverybodyAccess(isPrivate)
        : await openLogins(options, { isHosted, ...check }),
    isCached: (repository) => isAllowed(repository) && !isHosted(repository),
    takesPasswords: options?.htpasswd === undefined,
  })
}

async function openLogins(
  options: AccessOptions,
  { isHosted, ...check }: Pick<OpenAccessOptions, 'isHosted' | 'checkMs'>,
): Promise<AccessControl> {
  const { htpasswd, token, clientCertificates } = options
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
