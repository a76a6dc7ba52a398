import type { SharedLocks } from '../../lib/async/shared-locks.ts'
import { type Events, publish } from '../../observe/events.ts'
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import type { HostedTag } from '../../ports/hosted/hosted-catalog.ts'
import { PUSHED } from '../../ports/hosted/hosted-store.ts'
import type { Collected } from '../../schemas/upkeep-report.ts'
import type { GarbageStore } from './garbage-store.ts'
import { mark } from './marking.ts'
import { RepositorySweep } from './repository-sweep.ts'
import type { Retention } from './retention.ts'

export interface CollectOptions {
  /** Nothing is removed; the lines say what would be. */
  readonly isDryRun: boolean
  readonly signal: AbortSignal
}

/** One run: how many links of a digest would be removed, and the time by which links are young. */
interface Run extends CollectOptions {
  readonly now: number
  readonly pinned: ReadonlySet<Digest>
  readonly unlinked: Map<Digest, number>
}

const UNNEEDED = 'no tag needs it'

/**
 * Finds what no tag of a hosted repository needs, one repository after the other, and removes it; then the pushed content that
 * nothing needs any more. Clients pull and push meanwhile.
 */
export class GarbageCollection {
  readonly #store: GarbageStore
  readonly #locks: SharedLocks
  readonly #retention: Retention
  readonly #now: () => number

  /** `now`: the time in milliseconds since the epoch. */
  constructor(store: GarbageStore, locks: SharedLocks, retention: Retention, now = Date.now) {
    this.#store = store
    this.#locks = locks
    this.#retention = retention
    this.#now = now
  }

  /** Tells of each tag, link and blob. */
  async *collect(options: CollectOptions): AsyncGenerator<Collected> {
    const pinned = new Set<Digest>()
    for await (const { digest } of this.#store.pins()) pinned.add(digest)
    const run: Run = { ...options, now: this.#now(), pinned, unlinked: new Map() }
    for (const repository of await this.#store.hosted.catalog.repositories()) {
      run.signal.throwIfAborted()
      yield* this.#collectRepository(repository, run)
    }
    yield* this.#freeUnneeded(run)
  }

  async *#collectRepository(repository: Repository, run: Run): AsyncGenerator<Collected> {
    const { catalog } = this.#store.hosted
    const { now, isDryRun, signal, pinned } = run
    const sweep = new RepositorySweep(this.#store, this.#locks, repository)
    const name = repositoryKey(repository)
    // A push that began before the collection is over after this, so that its tags are read below. What later ones link is young.
    await this.#locks.exclusive(name, async () => {})
    const tags = new Map<string, HostedTag>()
    for await (const tag of catalog.tags(repository)) tags.set(tag.tag, tag)
    for (const expired of this.#retention.expired(repository, [...tags.values()], now)) {
      const { tag, digest, why } = expired
      signal.throwIfAborted()
      if (!isDryRun && !(await sweep.removeTag(expired))) continue
      tags.delete(tag)
      if (!isDryRun) publishDeletion(repository, { kind: 'tag', tags: [tag], digest })
      yield { is: 'tag', repository: name, tag, digest, why }
    }
    // A link of the millisecond in which the collection began may be one of those.
    const before = (kind: 'manifest' | 'blob') => now - 1 - this.#retention.unneededMs(repository, kind)
    const { live, deadManifests, lost } = await mark(this.#store, repository, {
      roots: [...pinned, ...[...tags.values()].map(({ digest }) => digest)],
      isYoung: ({ kind, linkedAt }) => linkedAt > before(kind),
      signal,
    })
    if (lost !== undefined) {
      const why = `the manifest ${lost} is lost, so what it needs is unknown: push it again, or delete it`
      yield { is: 'skipped', repository: name, why }
      return
    }
    for await (const [digest, kind] of this.#unlink(
      repository,
      sweep,
      { live, deadManifests, before },
      run,
    )) {
      const size = (await this.#store.blobs.facts(digest))?.size ?? 0
      run.unlinked.set(digest, (run.unlinked.get(digest) ?? 0) + 1)
      if (!isDryRun) publishDeletion(repository, { kind, tags: [], digest })
      yield { is: 'unlinked', repository: name, digest, kind, size, why: UNNEEDED }
    }
  }

  /** Removes links of manifests before those of what they need, and subjects before their referrers. */
  async *#unlink(
    repository: Repository,
    sweep: RepositorySweep,
    {
      live,
      deadManifests,
      before,
    }: {
      live: ReadonlySet<Digest>
      deadManifests: readonly Digest[]
      before: (kind: 'manifest' | 'blob') => number
    },
    { isDryRun, signal }: Run,
  ): AsyncGenerator<[Digest, 'manifest' | 'blob']> {
    const unlink = async (digest: Digest, kind: 'manifest' | 'blob'): Promise<boolean> => {
      signal.throwIfAborted()
      return isDryRun || sweep.unlink(digest, kind, before(kind))
    }
    let left = deadManifests
    for (let hasProgress = true; hasProgress && left.length > 0; ) {
      const stay: Digest[] = []
      for (const digest of left) {
        if (await unlink(digest, 'manifest')) yield [digest, 'manifest']
        else stay.push(digest)
      }
      hasProgress = stay.length < left.length
      left = stay
    }
    for await (const { digest, kind, linkedAt } of this.#store.hosted.catalog.links(repository)) {
      if (kind !== 'blob' || live.has(digest) || linkedAt > before(kind)) continue
      if (await unlink(digest, kind)) yield [digest, kind]
    }
  }

  /** Removes what was pushed and belongs to nothing any more. What came into the store by a pull stays as cache. */
  async *#freeUnneeded({ isDryRun, signal, unlinked }: Run): AsyncGenerator<Collected> {
    for await (const { digest, size, kind, origin } of this.#store.list()) {
      signal.throwIfAborted()
      if (origin !== PUSHED) continue
      const links = (await this.#store.hosted.catalog.repositoriesOf(digest)).length
      const gone = isDryRun ? (unlinked.get(digest) ?? 0) : 0
      if (links > gone) continue
      if ((await this.#store.repositoriesOf(digest)).length > 0) continue
      if ((await this.#store.pinsOf(digest)).length > 0) continue
      if (!isDryRun && !(await this.#store.remove(digest))) continue
      yield { is: 'freed', digest, kind, size, why: 'no repository has it' }
    }
  }
}

function publishDeletion(
  repository: Repository,
  deletion: Pick<Events['hosted.deleted'], 'kind' | 'tags' | 'digest'>,
): void {
  const unknown = { mediaType: undefined, size: undefined, client: undefined }
  publish('hosted.deleted', { repository, ...deletion, ...unknown })
}
