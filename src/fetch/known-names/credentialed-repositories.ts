import { SharedWork } from '../../lib/async/shared-work.ts'
import { BoundedMap } from '../../lib/bounded-map.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import type { Catalog } from '../../ports/catalog.ts'
import type { Registry } from '../../ports/registry.ts'

const MOST_ASKED = 4096

/**
 * The repositories that were read with credentials of this agent. One of them is in doubt while the agent has no credentials
 * for it: what is stored of it may be private, and nothing of it is served unless upstream gives it to everybody.
 */
export class CredentialedRepositories {
  readonly #catalog: Catalog
  readonly #registry: Registry
  readonly #keys = new Set<string>()
  /** The repositories about which upstream was asked with credentials, lately: these may be gone when it answers. */
  readonly #asked = new BoundedMap<string, true>(MOST_ASKED)
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
    return this.#keys.has(repositoryKey(repository)) && !(await this.#registry.hasCredentials(repository))
  }

  /** Called before upstream is asked. Nothing is written yet: clients name repositories that do not exist. */
  async noteAsked(repository: Repository): Promise<void> {
    if (await this.#registry.isPrivate(repository)) this.#asked.set(repositoryKey(repository), true)
  }

  /**
   * Called before anything is stored that upstream has given of the repository. A full disk remembers neither this nor what is
   * stored.
   */
  async add(repository: Repository): Promise<void> {
    const key = repositoryKey(repository)
    if (!this.#asked.has(key) && !(await this.#registry.isPrivate(repository))) return
    if (!this.#isLoaded) await this.#load()
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
    this.#asked.delete(repositoryKey(repository))
    // On a full disk the repository is in doubt again after a restart, and upstream is asked again.
    await this.#catalog.forgetCredentialed(repository).catch(() => {})
  }

  async #load(): Promise<void> {
    await this.#loading.run('all', async () => {
      const credentialed = await this.#catalog.credentialed()
      const known = credentialed.length === 0 ? [] : await this.#catalog.repositories()
      const withNames = new Set(known.map(repositoryKey))
      for (const repository of credentialed) {
        const key = repositoryKey(repository)
        if (withNames.has(key)) this.#keys.add(key)
        // Nothing was stored of it: upstream has named a manifest, and nobody could bring it.
        else await this.#catalog.forgetCredentialed(repository).catch(() => {})
      }
      this.#isLoaded = true
    }).promise
  }
}
