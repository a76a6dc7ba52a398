import { tagText, withReferences } from '../observe/reports/sharing.ts'
import type { Digest } from '../oci/digest.ts'
import type { UpkeepStore } from './upkeep-store.ts'

/** What a person wants to remove. */
export interface RemovalRequest {
  /** Images named by a tag. They are removed with the parts that nothing else needs. */
  readonly images: readonly Digest[]
  /** Content named by its digest. It is removed even if something else needs it. */
  readonly named: readonly Digest[]
  /** The tags to forget, as `tagText` writes them. */
  readonly tags: ReadonlySet<string>
  readonly unpinned: ReadonlySet<Digest>
}

/** Manifests come before their parts, so that an interrupted removal leaves no manifest without its parts. */
export interface RemovalPlan {
  readonly removed: readonly Digest[]
  readonly retained: readonly Digest[]
}

/**
 * Decides which blobs are removed with the images, and which are retained because another tag, a pin or another manifest
 * needs them. A manifest that was pulled by digest has no tag, so the plan considers every stored manifest.
 */
export async function planRemoval(
  store: UpkeepStore,
  { images, named, tags, unpinned }: RemovalRequest,
): Promise<RemovalPlan> {
  const candidates = await withReferences(store, [...images, ...named])
  const needed = new Set<Digest>()
  const markNeeded = async (digest: Digest): Promise<void> => {
    if (candidates.has(digest)) await withReferences(store, [digest], needed)
  }
  for await (const tag of store.tags()) if (!tags.has(tagText(tag))) await markNeeded(tag.digest)
  for await (const { digest } of store.pins()) if (!unpinned.has(digest)) await markNeeded(digest)
  for await (const { digest, kind } of store.list()) {
    if (kind !== 'manifest' || candidates.has(digest)) continue
    for (const part of await store.references(digest)) await markNeeded(part)
  }
  for (const digest of named) needed.delete(digest)
  const all = [...candidates]
  return {
    removed: all.filter((digest) => !needed.has(digest)),
    retained: all.filter((digest) => needed.has(digest)),
  }
}
