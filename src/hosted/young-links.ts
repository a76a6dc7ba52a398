import type { SharedLocks } from '../lib/async/shared-locks.ts'
import { type Repository, repositoryKey } from '../oci/names/repository.ts'
import type { HostedCatalog, HostedLink } from '../ports/hosted/hosted-catalog.ts'

/** A link is made young again when a quarter of the grace period is over: so a request rarely costs a write. */
const RENEWAL_SHARE = 1 / 4

/** Keeps links young whose contents a client was told to exist: it may push a manifest that needs them. */
export class YoungLinks {
  readonly #catalog: Pick<HostedCatalog, 'renewLink'>
  readonly #locks: SharedLocks
  readonly #graceMs: number

  constructor(catalog: Pick<HostedCatalog, 'renewLink'>, locks: SharedLocks, graceMs: number) {
    this.#catalog = catalog
    this.#locks = locks
    this.#graceMs = graceMs
  }

  /** The link is young for at least three quarters of the grace period from now on. False: it is gone. */
  async renew(repository: Repository, link: HostedLink): Promise<boolean> {
    if (Date.now() - link.linkedAt < this.#graceMs * RENEWAL_SHARE) return true
    return this.#locks.shared(repositoryKey(repository), async () => {
      try {
        return await this.#catalog.renewLink(repository, link.digest)
      } catch {
        // A full disk takes no writes, also none that remove the link. Pulls go on.
        return true
      }
    })
  }
}
