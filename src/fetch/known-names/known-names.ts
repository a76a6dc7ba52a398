import { unlessAborted } from '../../lib/async/abort.ts'
import { Semaphore } from '../../lib/async/semaphore.ts'
import { SharedWork } from '../../lib/async/shared-work.ts'
import { BoundedMap } from '../../lib/bounded-map.ts'
import type { Digest } from '../../oci/digest.ts'
import { MAX_MANIFEST_BYTES } from '../../oci/manifest.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import type { BlobStore } from '../../ports/blob-store.ts'
import type { Catalog } from '../../ports/catalog.ts'
import { Failure } from '../../ports/failure.ts'
import type { Registry } from '../../ports/registry.ts'
import type { Want } from '../../ports/source.ts'
import { asFailure } from '../flight/attempts/pick-failure.ts'
import { readAll } from '../manifests/manifest-body.ts'
import { describeManifest, provenDigests } from '../manifests/manifest-reading.ts'
import { CredentialedRepositories } from './credentialed-repositories.ts'
import { KnownNameCache } from './known-name-cache.ts'

export interface KnownNamesOptions {
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly registry: Registry
  /** How long upstream may take to answer. */
  readonly timeoutMs: number
}

/** How deep manifests are followed: an index may list indexes, but no image is deeper. */
const MAX_DEPTH = 4
/** How many manifests that reference a digest are looked at before upstream is asked instead. */
const MAX_MANIFESTS = 1000
/** How many references of a manifest are cached; the others are looked up in the index when a client asks for them. */
const MAX_ADDED = 500
/** How many manifests are read at a time, because each is in memory whole then. */
const MAX_PARALLEL_READS = 4
const NEVER = new AbortController().signal
const DENIAL_TTL_MS = 5000
const MAX_DENIALS = 1000

/**
 * Whether a digest may be served under a repository's name. Stored content was fetched under one name, and knowing its
 * digest gives nobody the right to have it under another: that must be a known name, or upstream is asked.
 */
export class KnownNames {
  readonly #store: BlobStore
  readonly #catalog: Catalog
  readonly #registry: Registry
  readonly #timeoutMs: number
  readonly #credentialed: CredentialedRepositories
  readonly #cache = new KnownNameCache()
  readonly #manifestReads = new Semaphore(MAX_PARALLEL_READS)
  readonly #checks = new SharedWork<void>()
  readonly #denials = new BoundedMap<string, Failure>(MAX_DENIALS, { ttlMs: DENIAL_TTL_MS })

  constructor({ store, catalog, registry, timeoutMs }: KnownNamesOptions) {
    this.#store = store
    this.#catalog = catalog
    this.#registry = registry
    this.#timeoutMs = timeoutMs
    this.#credentialed = new CredentialedRepositories(catalog, registry)
  }

  /** Whether the pair is a known name, as far as memory tells. */
  isCached(repository: Repository, digest: Digest): boolean {
    return !this.#credentialed.mayBeInDoubt(repository) && this.#cache.has(repository, digest)
  }

  /** Says that the repository has these digests: upstream says so, or a manifest or a list of the repository. */
  add(repository: Repository, digests: readonly Digest[]): void {
    for (const digest of digests.slice(0, MAX_ADDED)) this.#cache.add(repository, digest)
  }

  /** Called before upstream is asked for content or names of the repository. */
  beforeReading(repository: Repository): Promise<void> {
    return this.#credentialed.noteAsked(repository)
  }

  /** Called before content or names that upstream has given of the repository are stored, or added here. */
  beforeStoring(repository: Repository): Promise<void> {
    return this.#credentialed.add(repository)
  }

  /** Whether the repository was read with credentials that the agent does not have any more. */
  isInDoubt(repository: Repository): Promise<boolean> {
    return this.#credentialed.isInDoubt(repository)
  }

  /** Throws a `Failure` if the repository is in doubt and upstream does not give the content to everybody. */
  async checkIfInDoubt(want: Want, options: { signal?: AbortSignal } = {}): Promise<void> {
    if (await this.isInDoubt(want.repository)) await this.#confirm(want, options)
  }

  /** Says that the store has dropped the content. */
  forget(digest: Digest): void {
    this.#cache.drop(digest)
  }

  /** Whether the pair is a known name, or a manifest with a known name references the digest. Upstream is not asked. */
  async isKnown({ repository, digest }: Pick<Want, 'repository' | 'digest'>): Promise<boolean> {
    if (await this.isInDoubt(repository)) return false
    if (this.#cache.has(repository, digest)) return true
    if ((await this.#catalog.filterKnown(repository, [digest])).length > 0) {
      this.#cache.add(repository, digest)
      return true
    }
    if (!(await this.#isReferenced(repository, digest, { left: MAX_MANIFESTS }, 1))) return false
    await this.remember(repository, digest)
    return true
  }

  /** Throws a `Failure` unless the pair is a known name, or upstream says that the repository has the digest. */
  async check(want: Want, options: { signal?: AbortSignal } = {}): Promise<void> {
    const isInDoubt = await this.isInDoubt(want.repository)
    if (isInDoubt || !this.#cache.has(want.repository, want.digest)) await this.#confirm(want, options)
  }

  /** Remembers a known name on disk, or at least in memory when the disk is full. */
  async remember(repository: Repository, digest: Digest): Promise<void> {
    this.#cache.add(repository, digest)
    await this.#catalog.rememberKnownName(repository, digest).catch(() => {})
  }

  /** Asks upstream, once for all who wait, unless the name is known. */
  async #confirm(want: Want, { signal }: { signal?: AbortSignal }): Promise<void> {
    const key = `${want.kind} ${repositoryKey(want.repository)} ${want.digest}`
    this.#throwIfDenied(key)
    const { promise } = this.#checks.run(key, async () => {
      if (!(await this.isKnown(want))) await this.#askUpstream(want, key)
    })
    await (signal === undefined ? promise : unlessAborted(promise, signal))
  }

  async #askUpstream(want: Want, key: string): Promise<void> {
    const timeout = new AbortController()
    const timer = setTimeout(() => {
      const message = `Upstream has not answered within ${this.#timeoutMs / 1000} s.`
      timeout.abort(new Failure('stalled', message))
    }, this.#timeoutMs)
    const { signal } = timeout
    const { repository } = want
    try {
      await this.beforeReading(repository)
      // A file of credentials may be read again at any moment: only an answer without credentials removes a doubt.
      const isAnonymous = await this.isInDoubt(repository)
      const { size } = await unlessAborted(this.#registry.head(want, { signal, isAnonymous }), signal)
      const facts = await this.#store.facts(want.digest)
      if (facts !== undefined && facts.size !== size) throw otherContentFailure()
      if (isAnonymous) await this.#credentialed.remove(repository)
      else await this.beforeStoring(repository)
    } catch (thrown) {
      const failure = asFailure(thrown, 'upstream')
      if (failure.code === 'absent' || failure.code === 'denied') this.#denials.set(key, failure)
      throw failure
    } finally {
      clearTimeout(timer)
    }
    await this.remember(repository, want.digest)
  }

  /** `budget.left`: how many more manifests may be looked at. */
  async #isReferenced(
    repository: Repository,
    digest: Digest,
    budget: { left: number },
    depth: number,
  ): Promise<boolean> {
    const manifests = await this.#store.referencingManifests(digest, budget.left)
    budget.left -= manifests.length
    const known = new Set(await this.#catalog.filterKnown(repository, manifests))
    const isKnown = (manifest: Digest): boolean =>
      known.has(manifest) || this.#cache.has(repository, manifest)
    for (const manifest of manifests) {
      if (isKnown(manifest) && (await this.#manifestProves(manifest, digest))) return true
    }
    if (depth === MAX_DEPTH) return false
    for (const manifest of manifests) {
      if (budget.left <= 0) return false
      if (isKnown(manifest) || !(await this.#isReferenced(repository, manifest, budget, depth + 1))) continue
      if (await this.#manifestProves(manifest, digest)) return true
    }
    return false
  }

  /** The index lists foreign layers too, so the manifest itself is read. */
  async #manifestProves(manifest: Digest, child: Digest): Promise<boolean> {
    try {
      const content = await this.#store.open(manifest)
      if (content === undefined) return false
      try {
        if (content.size > MAX_MANIFEST_BYTES) return false
        return await this.#manifestReads.use(NEVER, async () => {
          const bytes = await readAll((target, position) => content.read(target, position), content.size)
          return provenDigests(describeManifest(bytes, content.mediaType)).includes(child)
        })
      } finally {
        await content.close()
      }
    } catch {
      // A manifest that cannot be read proves nothing, and upstream is asked.
      return false
    }
  }

  #throwIfDenied(key: string): void {
    const denied = this.#denials.get(key)
    if (denied !== undefined) throw denied
  }
}

/** The message does not say the size, which would reveal to a client without a right to the content that it is stored. */
function otherContentFailure(): Failure {
  return new Failure('absent', 'Upstream has other content there.')
}
