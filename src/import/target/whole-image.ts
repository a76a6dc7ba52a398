import type { Digest } from '../../oci/digest.ts'
import { childrenOf, type Manifest } from '../../oci/manifest.ts'

/** How the store answers whether an image is whole. */
export interface StoredImages {
  has(digest: Digest): Promise<boolean>
  /** undefined: it is not stored, or it is no manifest. */
  manifest(digest: Digest): Promise<Manifest | undefined>
}

/** What an image consists of, as far as it is stored. */
export interface WholeImage {
  readonly contents: ReadonlySet<Digest>
  /** What the image needs and the store lacks. Of an index, images may be missing, but not all of them. */
  readonly missing: readonly Digest[]
}

/** An index may list indexes, but no image is deeper. */
const MAX_DEPTH = 4
const MAX_MANIFESTS = 1000

export async function wholeImage(root: Digest, stored: StoredImages): Promise<WholeImage> {
  const contents = new Set<Digest>()
  const missing = new Set<Digest>()
  let manifests = 0
  const visit = async (digest: Digest, depth: number): Promise<void> => {
    if (contents.has(digest)) return
    manifests += 1
    const manifest = manifests > MAX_MANIFESTS ? undefined : await stored.manifest(digest)
    if (manifest === undefined) {
      missing.add(digest)
      return
    }
    contents.add(digest)
    const listed = new Set(manifest.manifests.map((child) => child.digest))
    let images = 0
    for (const { digest: child, isForeign } of childrenOf(manifest)) {
      if (isForeign) continue
      const isStored = await stored.has(child)
      if (!listed.has(child)) (isStored ? contents : missing).add(child)
      else if (isStored && depth < MAX_DEPTH) {
        images += 1
        await visit(child, depth + 1)
      }
    }
    if (images === 0) for (const child of listed) missing.add(child)
  }
  await visit(root, 1)
  return { contents, missing: [...missing] }
}
