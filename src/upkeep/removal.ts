import { tagText, withReferences } from '../observe/reports/sharing.ts'
import type { Digest } from '../oci/digest.ts'
import type { Kept } from './kept.ts'

/** What is to go. */
export interface Wanted {
  /** Images, as far as nothing else needs them. */
  readonly images: readonly Digest[]
  /** Named by their digests: these go whoever needs them. */
  readonly named: readonly Digest[]
  /** `tagText` of the tags that are forgotten. */
  readonly tags: ReadonlySet<string>
  readonly unpinned: ReadonlySet<Digest>
}

/** Parents before their parts: whatever ends this in the middle, no manifest is left whose parts were taken away for it. */
export interface Removal {
  readonly gone: readonly Digest[]
  readonly staying: readonly Digest[]
}

/**
 * Which blobs go when images go, and which stay because another tag, a pin, or another manifest needs them. Manifests that
 * were pulled by digest have no tag, so that every stored manifest is looked at.
 */
export async function planRemoval(kept: Kept, { images, named, tags, unpinned }: Wanted): Promise<Removal> {
  const doomed = await withReferences(kept, [...images, ...named])
  const needed = new Set<Digest>()
  const need = async (digest: Digest): Promise<void> => {
    if (doomed.has(digest)) await withReferences(kept, [digest], needed)
  }
  for await (const tag of kept.tags()) if (!tags.has(tagText(tag))) await need(tag.digest)
  for await (const { digest } of kept.pins()) if (!unpinned.has(digest)) await need(digest)
  for await (const { digest, kind } of kept.list()) {
    if (kind !== 'manifest' || doomed.has(digest)) continue
    for (const part of await kept.references(digest)) await need(part)
  }
  for (const digest of named) needed.delete(digest)
  const all = [...doomed]
  return {
    gone: all.filter((digest) => !needed.has(digest)),
    staying: all.filter((digest) => needed.has(digest)),
  }
}
