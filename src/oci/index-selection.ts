import { type Parsed, parsed, refused } from '../lib/parsed.ts'
import type { Descriptor, Platform } from './manifest.ts'
import { parsePlatform, selectForPlatform } from './platform.ts'

/** The platforms of an image that are wanted: all, or a list, which is explicit unless it is only the platform of this node. */
export type PlatformSelection =
  | 'all'
  | { readonly platforms: readonly Platform[]; readonly isExplicit: boolean }

/** The annotations of attestations, which docker buildx puts into the same index as the images. */
const REFERENCE_TYPE = 'vnd.docker.reference.type'
const REFERENCE_DIGEST = 'vnd.docker.reference.digest'

/** Parses a list of platforms, or `all` alone. An empty list means `fallback`. */
export function parsePlatforms(
  texts: readonly string[],
  fallback: PlatformSelection,
): Parsed<PlatformSelection> {
  if (texts.length === 0) return parsed(fallback)
  if (texts.includes('all')) {
    return texts.length === 1
      ? parsed('all')
      : refused('the platform "all" cannot be combined with other platforms')
  }
  const platforms: Platform[] = []
  for (const text of texts) {
    const platform = parsePlatform(text)
    if (!platform.ok) return platform
    platforms.push(platform.value)
  }
  return parsed({ platforms, isExplicit: true })
}

/** The entries of an index that are wanted. */
export interface IndexSelection {
  readonly images: readonly Descriptor[]
  /** The attestations of these images. */
  readonly attestations: readonly Descriptor[]
  /** The requested platforms for which the index has no image. */
  readonly missing: readonly Platform[]
}

/** Like a container runtime, it takes a manifest without a platform for every platform. */
export function selectFromIndex(
  manifests: readonly Descriptor[],
  selection: PlatformSelection,
): IndexSelection {
  if (selection === 'all') return { images: manifests, attestations: [], missing: [] }
  const candidates = manifests.filter((manifest) => !isAttestation(manifest))
  const images = new Set(candidates.filter(({ platform }) => platform === undefined))
  const missing: Platform[] = []
  for (const platform of selection.platforms) {
    const matches = selectForPlatform(candidates, platform)
    for (const match of matches) images.add(match)
    if (matches.length === 0) missing.push(platform)
  }
  const haveAllPlatforms = candidates.every(({ platform }) => platform !== undefined)
  const digests = new Set([...images].map(({ digest }) => String(digest)))
  return {
    images: [...images],
    attestations: manifests.filter(
      (manifest) => isAttestation(manifest) && digests.has(manifest.annotations[REFERENCE_DIGEST] ?? ''),
    ),
    missing: haveAllPlatforms ? missing : [],
  }
}

function isAttestation({ annotations }: Descriptor): boolean {
  return annotations[REFERENCE_TYPE] !== undefined
}
