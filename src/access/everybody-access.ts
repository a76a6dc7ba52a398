import type { Repository } from '../oci/names/repository.ts'
import type { AccessControl, Caller, Decision } from '../ports/access.ts'

const ALLOWED: Decision = { kind: 'allowed', identity: { name: undefined } }

/**
 * Access control without settings: every client may do everything that the registry can do. Private repositories are listed
 * for clients on this machine only.
 */
export class EverybodyAccess implements AccessControl {
  readonly #isPrivate: (repository: Repository) => Promise<boolean>

  constructor(isPrivate: (repository: Repository) => Promise<boolean>) {
    this.#isPrivate = isPrivate
  }

  async decide(): Promise<Decision> {
    return ALLOWED
  }

  async filterListable(
    { isLocal }: Caller,
    repositories: readonly Repository[],
  ): Promise<readonly Repository[]> {
    if (isLocal) return repositories
    const isPrivate = await Promise.all(repositories.map(this.#isPrivate))
    return repositories.filter((_, index) => isPrivate[index] === false)
  }
}
