import type { SharedLocks } from '../lib/async/shared-locks.ts'
import type { Digest } from '../oci/digest.ts'
import { type Repository, repositoryKey } from '../oci/names/repository.ts'
import type { HostedStore } from '../ports/hosted/hosted-store.ts'
import type {
  HostedRegistry,
  ManifestRefusal,
  ManifestToPush,
  PushedManifest,
  Uploads,
} from '../ports/hosted.ts'
import type { LocalContent } from '../ports/local-content.ts'
import { checkManifest } from './manifests/manifest-check.ts'
import type { UploadOutcome } from './uploads/hosted-uploads.ts'

interface HostedImagesOptions {
  readonly store: HostedStore
  readonly uploads: Uploads
  readonly isHosted: (repository: Repository) => boolean
  /** What the cache has under which name: blobs of it can be mounted. */
  readonly cached: Pick<LocalContent, 'state'>
  readonly locks: SharedLocks
}

/**
 * Takes what clients push into hosted repositories. Whoever adds a link holds the lock of the repository shared, and whoever
 * removes one exclusively: so what a manifest needs is still linked when the manifest is.
 */
export class HostedImages implements HostedRegistry {
  readonly uploads: Uploads
  readonly #options: HostedImagesOptions

  constructor(options: HostedImagesOptions) {
    this.uploads = options.uploads
    this.#options = options
  }

  isHosted(repository: Repository): boolean {
    return this.#options.isHosted(repository)
  }

  async mount(repository: Repository, digest: Digest, from: Repository): Promise<boolean> {
    const { store, locks } = this.#options
    if (!(await this.#has(from, digest))) return false
    return locks.shared(repositoryKey(repository), () =>
      store.link(digest, { repository, kind: 'blob', mediaType: undefined, tags: [] }),
    )
  }

  async putManifest(
    repository: Repository,
    push: ManifestToPush,
  ): Promise<{ readonly pushed: PushedManifest } | { readonly refusal: ManifestRefusal }> {
    const { bytes, tags } = push
    const checked = checkManifest(push)
    if ('refusal' in checked) return checked
    const { digest, mediaType, references, needed, subject } = checked.manifest
    const { store, locks } = this.#options
    return locks.shared(repositoryKey(repository), async () => {
      const linked = new Set(await store.catalog.filterLinked(repository, needed))
      const missing = needed.filter((one) => !linked.has(one))
      if (missing.length > 0) return { refusal: { kind: 'missing', missing } }
      await store.putManifest({ bytes, digest, mediaType, references, subject, repository, tags })
      return { pushed: { digest, subject } }
    })
  }

  deleteTag(repository: Repository, tag: string): Promise<boolean> {
    return this.#exclusive(repository, (catalog) => catalog.removeTag(repository, tag))
  }

  deleteManifest(repository: Repository, digest: Digest): Promise<boolean> {
    return this.#delete(repository, digest, 'manifest')
  }

  deleteBlob(repository: Repository, digest: Digest): Promise<boolean> {
    return this.#delete(repository, digest, 'blob')
  }

  async #has(repository: Repository, digest: Digest): Promise<boolean> {
    const { store, cached } = this.#options
    if (this.isHosted(repository)) return (await store.catalog.link(repository, digest)) !== undefined
    return (await cached.state({ repository, digest }))?.isComplete === true
  }

  #delete(repository: Repository, digest: Digest, kind: 'manifest' | 'blob'): Promise<boolean> {
    return this.#exclusive(repository, async (catalog) => {
      const link = await catalog.link(repository, digest)
      return link?.kind === kind && catalog.removeLink(repository, digest)
    })
  }

  #exclusive(
    repository: Repository,
    remove: (catalog: HostedStore['catalog']) => Promise<boolean>,
  ): Promise<boolean> {
    const { store, locks } = this.#options
    return locks.exclusive(repositoryKey(repository), () => remove(store.catalog))
  }
}

/** An upload becomes a blob with a link. The lock of its repository is held shared while the link is made. */
export function linkedUploads(locks: SharedLocks): UploadOutcome {
  return {
    publish: (content, { repository, digest }, options) => {
      const link = { repository, kind: 'blob', mediaType: undefined, tags: [] } as const
      return locks.shared(repositoryKey(repository), () => content.publish(digest, link, options))
    },
  }
}
