import { unlessAborted } from '../lib/async/abort.ts'
import { Semaphore } from '../lib/async/semaphore.ts'
import { SharedWork } from '../lib/async/shared-work.ts'
import { BoundedMap } from '../lib/bounded-map.ts'
import type { Digest } from '../oci/digest.ts'
import { MAX_MANIFEST_BYTES } from '../oci/manifest.ts'
import { type Repository, repositoryKey } from '../oci/names/repository.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { Catalog } from '../ports/catalog.ts'
import { Failure } from '../ports/failure.ts'
import type { Registry } from '../ports/registry.ts'
import type { Want } from '../ports/source.ts'
import { asFailure } from './flight/attempts/pick-failure.ts'
import { KnownNameCache } from './known-name-cache.ts'
import { readAll } from './manifests/manifest-body.ts'
import { describeManifest, provenDigests } from './manifests/manifest-reading.ts'

export interface KnownNamesOptions {
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly registry: Registry
  /** How long upstream may take to answer. */
  readonly timeoutMs: number
}

/** An index may hold indexes; a manifest below that is no part of an image. */
const MAX_DEPTH = 4
/** Of the manifests that need one digest, so many are looked at before upstream is asked instead. */
const MAX_MANIFESTS = 1000
/** Of one manifest, so many references are noted; the others are looked up in the index when they are asked for. */
const MAX_ADDED = 500
/** Each is in memory whole while it is looked at. */
const MAX_PARALLEL_READS = 4
const NEVER = new AbortController().signal
const REFUSAL_TTL_MS = 5000
const MAX_REFUSALS = 1000

/**
 * Whether a digest may be served under a repository's name. What is cached was fetched under one name, and its digest
 * alone gives nobody the right to have it under another: it has to be known there, or upstream is asked.
 */
export class KnownNames {
  readonly #store: BlobStore
  readonly #catalog: Catalog
  readonly #registry: Registry
  readonly #timeoutMs: number
  readonly #cache = new KnownNameCache()
  readonly #manifestReads = new Semaphore(MAX_PARALLEL_READS)
  readonly #checks = new SharedWork<void>()
  readonly #refusals = new BoundedMap<string, Failure>(MAX_REFUSALS, { ttlMs: REFUSAL_TTL_MS })

  constructor({ store, catalog, registry, timeoutMs }: KnownNamesOptions) {
    this.#store = store
    this.#catalog = catalog
    this.#registry = registry
    this.#timeoutMs = timeoutMs
  }

  /** Without a look into the index. */
  isCached(repository: Repository, digest: Digest): boolean {
    return this.#cache.has(repository, digest)
  }

  /** Upstream has said, itself or by a manifest or list of that repository, that these are there. */
  add(repository: Repository, digests: readonly Digest[]): void {
    for (const digest of digests.slice(0, MAX_ADDED)) this.#cache.add(repository, digest)
  }

  /** The store has dropped it. */
  forget(digest: Digest): void {
    this.#cache.drop(digest)
  }

  /** It was seen there, or a manifest that is known there references it. Upstream is not asked. */
  async isKnown({ repository, digest }: Pick<Want, 'repository' | 'digest'>): Promise<boolean> {
    if (this.#cache.has(repository, digest)) return true
    if ((await this.#catalog.filterKnown(repository, [digest])).length > 0) {
      this.#cache.add(repository, digest)
      return true
    }
    if (!(await this.#isReferenced(repository, digest, { left: MAX_MANIFESTS }, 1))) return false
    await this.#remember(repository, digest)
    return true
  }

  /** Throws a `Failure` unless it is known there, or upstream says that it is there. */
  async check(want: Want, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    if (this.#cache.has(want.repository, want.digest)) return
    const key = `${want.kind} ${repositoryKey(want.repository)} ${want.digest}`
    this.#throwIfRefused(key)
    const { promise } = this.#checks.run(key, async () => {
      if (!(await this.isKnown(want))) await this.#askUpstream(want, key)
    })
    await (signal === undefined ? promise : unlessAborted(promise, signal))
  }

  async #askUpstream(want: Want, key: string): Promise<void> {
    const patience = new AbortController()
    const timer = setTimeout(() => {
      const message = `Upstream has not answered within ${this.#timeoutMs / 1000} s.`
      patience.abort(new Failure('stalled', message))
    }, this.#timeoutMs)
    const { signal } = patience
    try {
      const { size } = await unlessAborted(this.#registry.head(want, { signal }), signal)
      const facts = await this.#store.facts(want.digest)
      if (facts !== undefined && facts.size !== size) throw otherContentFailure()
    } catch (thrown) {
      const failure = asFailure(thrown, 'upstream')
      if (failure.code === 'absent' || failure.code === 'denied') this.#refusals.set(key, failure)
      throw failure
    } finally {
      clearTimeout(timer)
    }
    await this.#remember(want.repository, want.digest)
  }

  /** A full disk remembers nothing new; memory does. */
  async #remember(repository: Repository, digest: Digest): Promise<void> {
    this.#cache.add(repository, digest)
    await this.#catalog.rememberKnownName(repository, digest).catch(() => {})
  }

  /** `look.left`: how many more manifests may be looked at. */
  async #isReferenced(
    repository: Repository,
    digest: Digest,
    look: { left: number },
    depth: number,
  ): Promise<boolean> {
    const manifests = await this.#store.referencingManifests(digest, look.left)
    look.left -= manifests.length
    const seen = new Set(await this.#catalog.filterKnown(repository, manifests))
    const isKnown = (manifest: Digest): boolean => seen.has(manifest) || this.#cache.has(repository, manifest)
    for (const manifest of manifests) {
      if (isKnown(manifest) && (await this.#manifestProves(manifest, digest))) return true
    }
    if (depth === MAX_DEPTH) return false
    for (const manifest of manifests) {
      if (look.left <= 0) return false
      if (isKnown(manifest) || !(await this.#isReferenced(repository, manifest, look, depth + 1))) continue
      if (await this.#manifestProves(manifest, digest)) return true
    }
    return false
  }

  /** The index names foreign layers too, so the manifest itself is read. */
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
      // What cannot be read grants nothing, and upstream is asked.
      return false
    }
  }

  #throwIfRefused(key: string): void {
    const refused = this.#refusals.get(key)
    if (refused !== undefined) throw refused
  }
}

/** Its size is not told: it would say that this content is here, to who has no right to it. */
function otherContentFailure(): Failure {
  return new Failure('absent', 'Upstream has other content there.')
}
