import { BoundedMap } from '../../lib/bounded-map.ts'
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import { repositoryFilter } from '../../oci/names/repository-filter.ts'
import { type BlobFacts, RECOVERED } from '../../ports/blob-store.ts'
import type { ObjectStoreOptions } from '../options/store-options.ts'
import type { UploadStore } from './upload-store.ts'

const MAX_COUNTED = 10_000

/** Which contents of this node belong into the bucket. */
export class FillPolicy {
  readonly #fill: NonNullable<ObjectStoreOptions['fill']>
  readonly #afterPulls: number
  readonly #isNamed: (repository: Repository) => boolean
  readonly #store: UploadStore
  /** How often clients have pulled a manifest from this node since its start. */
  readonly #pulls = new BoundedMap<string, number>(MAX_COUNTED)
  /** What the images need that were pulled often enough. */
  readonly #wanted = new BoundedMap<Digest, true>(MAX_COUNTED)

  /** `isHosted`: clients push it, so that upstream has nothing to do with it. */
  constructor(
    { fill = 'all', fillNames, fillAfterPulls = 1 }: ObjectStoreOptions,
    store: UploadStore,
    isHosted: (repository: Repository) => boolean,
  ) {
    this.#fill = fill
    this.#afterPulls = fillAfterPulls
    const isNamed = repositoryFilter(fillNames)
    this.#isNamed = (repository) => isNamed(repository) && !isHosted(repository)
    this.#store = store
  }

  get isFilling(): boolean {
    return this.#fill !== 'none'
  }

  /** What came from the bucket, or from a peer that uploads it, is not sent by this node. */
  async isWanted({ digest, origin }: BlobFacts, repository: Repository): Promise<boolean> {
    if (!this.isFilling || !this.#isNamed(repository)) return false
    // Whatever a crash has left without an origin may have come from upstream. An object that is there is not sent again.
    const isFetcher = origin.includes('upstream ') || origin === RECOVERED
    if (this.#fill === 'pinned') return (await this.#store.pinsOf(digest)).length > 0
    return this.#afterPulls === 1 ? isFetcher : this.#wanted.has(digest)
  }

  isNamed(repository: Repository): boolean {
    return this.isFilling && this.#isNamed(repository)
  }

  /** Counts a pull. Gives what the image needs, of what is stored, when it was pulled often enough just now. */
  async countPull(manifest: Digest, repository: Repository): Promise<readonly Digest[]> {
    if (this.#afterPulls === 1 || this.#fill !== 'all' || !this.#isNamed(repository)) return []
    const key = `${repositoryKey(repository)}@${manifest}`
    this.#pulls.set(key, (this.#pulls.get(key) ?? 0) + 1)
    return this.neededBy(manifest, repository)
  }

  /** Gives what the image needs if it was pulled often enough. What it references is known once it is stored. */
  async neededBy(manifest: Digest, repository: Repository): Promise<readonly Digest[]> {
    const key = `${repositoryKey(repository)}@${manifest}`
    if ((this.#pulls.get(key) ?? 0) < this.#afterPulls) return []
    const needed = [manifest, ...(await this.#store.references(manifest))]
    for (const digest of needed) this.#wanted.set(digest, true)
    return needed
  }
}
