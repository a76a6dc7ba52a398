import { unlessAborted } from '../lib/async/abort.ts'
import { Semaphore } from '../lib/async/semaphore.ts'
import { SharedWork } from '../lib/async/shared-work.ts'
import { BoundedMap } from '../lib/bounded-map.ts'
import type { Digest } from '../oci/digest.ts'
import { type Repository, repositoryKey } from '../oci/names/repository.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { Catalog } from '../ports/catalog.ts'
import { Failure } from '../ports/failure.ts'
import type { Registry } from '../ports/registry.ts'
import type { Want } from '../ports/source.ts'
import { MANIFEST_LIMIT } from './flight/attempt.ts'
import { asFailure } from './flight/pick-failure.ts'
import { KnownNames } from './known-names.ts'
import { readAll } from './manifests/manifest-body.ts'
import { describeManifest, grantedBy } from './manifests/manifest-reading.ts'

export interface BelongingOptions {
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly registry: Registry
  /** How long upstream may take to answer. */
  readonly patienceMs: number
}

/** An index may hold indexes; a manifest below that is no part of an image. */
const DEEPEST = 4
/** Of the manifests that need one digest, so many are looked at before upstream is asked instead. */
const MOST_MANIFESTS = 1000
/** Of one manifest, so many references are noted; the others are looked up in the index when they are asked for. */
const MOST_NOTED = 500
/** Each is in memory whole while it is looked at. */
const MANIFESTS_AT_ONCE = 4
const NEVER = new AbortController().signal
const REFUSED_MS = 5000
const MOST_REFUSED = 1000

/**
 * Whether a digest may be served under a repository's name. What is cached was fetched under one name, and its digest
 * alone gives nobody the right to have it under another: it has to be known there, or upstream is asked.
 */
export class Belonging {
  readonly #store: BlobStore
  readonly #catalog: Catalog
  readonly #registry: Registry
  readonly #patienceMs: number
  readonly #known = new KnownNames()
  readonly #reading = new Semaphore(MANIFESTS_AT_ONCE)
  readonly #checks = new SharedWork<void>()
  readonly #refused = new BoundedMap<string, Failure>(MOST_REFUSED, { ageMs: REFUSED_MS })

  constructor({ store, catalog, registry, patienceMs }: BelongingOptions) {
    this.#store = store
    this.#catalog = catalog
    this.#registry = registry
    this.#patienceMs = patienceMs
  }

  /** Without a look into the index. */
  isKnown(repository: Repository, digest: Digest): boolean {
    return this.#known.has(repository, digest)
  }

  /** Upstream has said, itself or by a manifest or list of that repository, that these are there. */
  note(repository: Repository, digests: readonly Digest[]): void {
    for (const digest of digests.slice(0, MOST_NOTED)) this.#known.add(repository, digest)
  }

  /** The store has dropped it. */
  forget(digest: Digest): void {
    this.#known.drop(digest)
  }

  /** It was seen there, or a manifest that is known there references it. Upstream is not asked. */
  async knows({ repository, digest }: Pick<Want, 'repository' | 'digest'>): Promise<boolean> {
    if (this.#known.has(repository, digest)) return true
    if ((await this.#catalog.filterKnown(repository, [digest])).length > 0) {
      this.#known.add(repository, digest)
      return true
    }
    if (!(await this.#isReferenced(repository, digest, { left: MOST_MANIFESTS }, 1))) return false
    await this.#remember(repository, digest)
    return true
  }

  /** Throws a `Failure` unless it is known there, or upstream says that it is there. */
  async check(want: Want, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    if (this.#known.has(want.repository, want.digest)) return
    const key = `${want.kind} ${repositoryKey(want.repository)} ${want.digest}`
    this.#throwIfRefused(key)
    const { promise } = this.#checks.run(key, async () => {
      if (!(await this.knows(want))) await this.#ask(want, key)
    })
    await (signal === undefined ? promise : unlessAborted(promise, signal))
  }

  async #ask(want: Want, key: string): Promise<void> {
    const patience = new AbortController()
    const timer = setTimeout(() => {
      const message = `Upstream has not answered within ${this.#patienceMs / 1000} s.`
      patience.abort(new Failure('stalled', message))
    }, this.#patienceMs)
    const { signal } = patience
    try {
      const { size } = await unlessAborted(this.#registry.head(want, { signal }), signal)
      const facts = await this.#store.facts(want.digest)
      if (facts !== undefined && facts.size !== size) throw otherContent()
    } catch (thrown) {
      const failure = asFailure(thrown, 'upstream')
      if (failure.code === 'absent' || failure.code === 'denied') this.#refused.set(key, failure)
      throw failure
    } finally {
      clearTimeout(timer)
    }
    await this.#remember(want.repository, want.digest)
  }

  /** A full disk remembers nothing new; memory does. */
  async #remember(repository: Repository, digest: Digest): Promise<void> {
    this.#known.add(repository, digest)
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
    const isKnown = (manifest: Digest): boolean => seen.has(manifest) || this.#known.has(repository, manifest)
    for (const manifest of manifests) {
      if (isKnown(manifest) && (await this.#grants(manifest, digest))) return true
    }
    if (depth === DEEPEST) return false
    for (const manifest of manifests) {
      if (look.left <= 0) return false
      if (isKnown(manifest) || !(await this.#isReferenced(repository, manifest, look, depth + 1))) continue
      if (await this.#grants(manifest, digest)) return true
    }
    return false
  }

  /** The index names foreign layers too, so the manifest itself is read. */
  async #grants(manifest: Digest, child: Digest): Promise<boolean> {
    try {
      const content = await this.#store.open(manifest)
      if (content === undefined) return false
      try {
        if (content.size > MANIFEST_LIMIT) return false
        return await this.#reading.use(NEVER, async () => {
          const bytes = await readAll((target, position) => content.read(target, position), content.size)
          return grantedBy(describeManifest(bytes, content.mediaType)).includes(child)
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
    const refused = this.#refused.get(key)
    if (refused !== undefined) throw refused
  }
}

/** Its size is not told: it would say that this content is here, to who has no right to it. */
function otherContent(): Failure {
  return new Failure('absent', 'Upstream has other content there.')
}
