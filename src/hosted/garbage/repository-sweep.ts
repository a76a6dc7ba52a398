import { readAll } from '../../fetch/manifests/manifest-body.ts'
import type { SharedLocks } from '../../lib/async/shared-locks.ts'
import type { Digest } from '../../oci/digest.ts'
import { parseManifest } from '../../oci/manifest.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import type { HostedTag } from '../../ports/hosted/hosted-catalog.ts'
import type { GarbageStore } from './garbage-store.ts'

/** A blob is looked up in at most so many manifests; one that more of them need stays. */
const MAX_REFERENCING = 10_000

/**
 * Removes tags and links of one repository. Clients go on meanwhile, so each is looked at again under the exclusive lock of the
 * repository: nothing can be added while it is decided that nobody needs it.
 */
export class RepositorySweep {
  readonly #store: GarbageStore
  readonly #locks: SharedLocks
  readonly #repository: Repository

  constructor(store: GarbageStore, locks: SharedLocks, repository: Repository) {
    this.#store = store
    this.#locks = locks
    this.#repository = repository
  }

  /** Removes a tag. False: it was pushed or pulled since it was decided that it goes. */
  removeTag({ tag, digest, pushedAt, pulledAt }: HostedTag): Promise<boolean> {
    const { catalog } = this.#store.hosted
    return this.#exclusive(async () => {
      const now = await catalog.tag(this.#repository, tag)
      const isSame = now?.digest === digest && now.pushedAt === pushedAt && now.pulledAt === pulledAt
      return isSame && catalog.removeTag(this.#repository, tag)
    })
  }

  /**
   * Removes a link that was made before `before`. False: it is younger, a manifest of the repository needs its content, or its
   * subject is still there.
   */
  unlink(digest: Digest, kind: 'manifest' | 'blob', before: number): Promise<boolean> {
    return this.#exclusive(async () => {
      if (await this.#isNeeded(digest)) return false
      const subject = kind === 'manifest' ? await this.#subjectOf(digest) : undefined
      if (subject !== undefined && (await this.#hasLinked([subject]))) return false
      // Whoever sets a tag makes the link young, so an old link without a tag still has none.
      return this.#store.hosted.catalog.removeOldLink(this.#repository, digest, before)
    })
  }

  async #isNeeded(digest: Digest): Promise<boolean> {
    const manifests = await this.#store.blobs.referencingManifests(digest, MAX_REFERENCING)
    return manifests.length === MAX_REFERENCING || (await this.#hasLinked(manifests))
  }

  async #hasLinked(digests: readonly Digest[]): Promise<boolean> {
    return (await this.#store.hosted.catalog.filterLinked(this.#repository, digests)).length > 0
  }

  async #subjectOf(manifest: Digest): Promise<Digest | undefined> {
    const content = await this.#store.peek(manifest)
    if (content === undefined) return undefined
    try {
      const bytes = await readAll((target, position) => content.read(target, position), content.size)
      const parsed = parseManifest(bytes)
      return parsed.ok ? parsed.value.subject?.digest : undefined
    } finally {
      await content.close()
    }
  }

  #exclusive(work: () => Promise<boolean>): Promise<boolean> {
    return this.#locks.exclusive(repositoryKey(this.#repository), work)
  }
}
