import type { Digest } from '../../oci/digest.ts'
import { childrenOf, type Manifest, type Platform, parseManifest } from '../../oci/manifest.ts'
import type { BlobView, ContentView } from './view.ts'

/** A manifest may name tens of thousands of parts, and each costs a lookup in the index. */
const MAX_PARTS = 2000

type View = Pick<ContentView, 'facts' | 'manifest'>

export interface InspectedImage {
  /** An index counts as `whole` when at least one platform is complete, as hardly any node stores all platforms. */
  readonly state: 'whole' | 'partial' | 'absent'
  /** The complete platforms of an index. */
  readonly platforms: string[]
  /** The manifests in an index that are stored with all their parts. */
  readonly complete: ReadonlySet<Digest>
}

/** Finds out what of an image is stored. Calls `onStored` with each stored part once. */
export async function inspectImage(
  view: View,
  root: Digest,
  onStored: (part: BlobView) => void,
): Promise<InspectedImage> {
  const parts = new InspectedParts(view, onStored)
  const top = (await parts.has(root)) ? await readManifest(view, root) : undefined
  if (top === undefined) return result(parts.isAnyStored ? 'partial' : 'absent')
  if (top.kind === 'image') return result((await parts.hasAllOf(top)) ? 'whole' : 'partial')
  const platforms = new Set<string>()
  const complete = new Set<Digest>()
  for (const child of top.manifests.slice(0, MAX_PARTS)) {
    if (!(await parts.has(child.digest))) continue
    const manifest = await readManifest(view, child.digest)
    if (manifest === undefined || !(await parts.hasAllOf(manifest))) continue
    complete.add(child.digest)
    const platform = platformText(child.platform)
    // BuildKit lists attestations in the index with the platform `unknown/unknown`.
    if (platform !== undefined && platform !== 'unknown/unknown') platforms.add(platform)
  }
  return result(complete.size > 0 ? 'whole' : 'partial', [...platforms], complete)
}

/** The stored manifest of this digest; undefined when it is not stored or not valid. */
export async function readManifest(
  view: Pick<ContentView, 'manifest'>,
  digest: Digest,
): Promise<Manifest | undefined> {
  const bytes = await view.manifest(digest)
  const manifest = bytes === undefined ? undefined : parseManifest(bytes)
  return manifest?.ok === true ? manifest.value : undefined
}

export function platformText(platform: Platform | undefined): string | undefined {
  if (platform === undefined || platform.os === '') return undefined
  const { os, architecture, variant } = platform
  return variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`
}

function result(
  state: InspectedImage['state'],
  platforms: string[] = [],
  complete: ReadonlySet<Digest> = new Set(),
): InspectedImage {
  return { state, platforms, complete }
}

/** The parts of one image that were looked up. */
class InspectedParts {
  readonly #view: View
  readonly #onStored: (part: BlobView) => void
  readonly #stored = new Set<Digest>()

  constructor(view: View, onStored: (part: BlobView) => void) {
    this.#view = view
    this.#onStored = onStored
  }

  get isAnyStored(): boolean {
    return this.#stored.size > 0
  }

  async has(part: Digest): Promise<boolean> {
    if (this.#stored.has(part)) return true
    const facts = await this.#view.facts(part)
    if (facts === undefined) return false
    this.#stored.add(part)
    this.#onStored(facts)
    return true
  }

  async hasAllOf(manifest: Manifest): Promise<boolean> {
    let isComplete = true
    for (const { digest: part, isForeign } of childrenOf(manifest)) {
      if (this.#stored.size > MAX_PARTS) return false
      if (!(await this.has(part)) && !isForeign) isComplete = false
    }
    return isComplete
  }
}
