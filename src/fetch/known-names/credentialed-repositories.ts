import { SharedWork } from '../../lib/async/shared-work.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import type { Catalog } from '../../ports/catalog.ts'
import type { Registry } from '../../ports/registry.ts'

/**
 * The repositories that were read with credentials of this agent. One of them is in doubt while the agent has no credentials
 * for it: what is stored of it may be private, and nothing of it is served unless upstream gives it to everybody.
 */
export class CredentialedRepositories {
  readonly #catalog: Catalog
  readonly #registry: Registry
  readonly #keys = new Set<string>()
  readonly #loading = new SharedWork<void>()
  #isLoaded = false

  constructor(catalog: Catalog, registry: Registry) {
    this.#catalog = catalog
    this.#registry = registry
  }

  /** Whether the repository may be in doubt, as far as memory tells. False for almost every request, and costs nothing then. */
  mayBeInDoubt(repository: Repository): boolean {
    if (this.#isLoaded && this.#keys.size === 0) return false
    return !this.#isLoaded || this.#keys.has(repositoryKey(repository))
  }

  async isInDoubt(repository: Repository): Promise<boolean> {
    if (!this.mayBeInDoubt(repository)) return false
    if (!this.#isLoaded) await this.#load()
    return this.#keys.has(repositoryKey(repository)) && !(await this.#registry.isPrivate(repository))
  }

  /** Called before the repository is read. A full disk remembers neither this nor what is read. */
  async add(repository: Repository): Promise<void> {
    if (!(await this.#registry.isPrivate(repository))) return
    if (!this.#isLoaded) await this.#load()
    const key = repositoryKey(repository)
    if (this.#keys.has(key)) return
    const isRemembered = await this.#catalog.rememberCredentialed(repository).then(
      () => true,
      () => false,
    )
    if (isRemembered) this.#keys.add(key)
  }

  /** Upstream gives content of the repository to those who have no credentials. */
  async remove(repository: Repository): Promise<void> {
    this.#keys.delete(repositoryKey(repository))
    // On a full disk the repository is in doubt again after a restart, and upstream is asked again.
    await this.#catalog.forgetCredentialed(repository).catch(() => {})
  }

  async #load(): Promise<void> {
    await this.#loading.run('all', async () => {
      for (const repository of await this.#catalog.credentialed()) this.#keys.add(repositoryKey(repository))
      this.#isLoaded = true
    }).promise
  }
}
