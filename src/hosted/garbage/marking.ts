import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { HostedLink } from '../../ports/hosted/hosted-catalog.ts'
import type { GarbageStore } from './garbage-store.ts'

interface MarkOptions {
  /** What the tags that stay refer to, and what is pinned. */
  readonly roots: Iterable<Digest>
  readonly isYoung: (link: HostedLink) => boolean
  readonly signal: AbortSignal
}

/** What of one repository is needed. Its memory is a digest for each of the links. */
export interface Marked {
  /** What tags, pins and young links reach, and the referrers of that, with what they reach. */
  readonly live: ReadonlySet<Digest>
  /** The linked manifests that are not live. */
  readonly deadManifests: readonly Digest[]
  /** A live manifest that is not stored: nobody knows what it needs. */
  readonly lost: Digest | undefined
}

export async function mark(
  store: GarbageStore,
  repository: Repository,
  { roots, isYoung, signal }: MarkOptions,
): Promise<Marked> {
  const manifests = new Set<Digest>()
  const toLook: Digest[] = [...roots]
  for await (const link of store.hosted.catalog.links(repository)) {
    signal.throwIfAborted()
    if (link.kind === 'manifest') manifests.add(link.digest)
    if (isYoung(link)) toLook.push(link.digest)
  }
  const live = new Set<Digest>()
  let lost: Digest | undefined
  for (let next = toLook.pop(); next !== undefined; next = toLook.pop()) {
    if (live.has(next)) continue
    signal.throwIfAborted()
    live.add(next)
    if (manifests.has(next) && (await store.blobs.facts(next)) === undefined) lost ??= next
    for (const needed of await store.references(next)) if (!live.has(needed)) toLook.push(needed)
    for (const referrer of await store.referrersOf(next)) {
      if (manifests.has(referrer) && !live.has(referrer)) toLook.push(referrer)
    }
  }
  return { live, deadManifests: [...manifests].filter((digest) => !live.has(digest)), lost }
}
