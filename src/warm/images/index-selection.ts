import type { Descriptor, Platform } from '../../oci/manifest.ts'
import { selectForPlatform } from '../../oci/platform.ts'
import type { PlatformSelection } from './image-request.ts'

/** The annotations of attestations, which docker buildx puts into the same index as the images. */
const REFERENCE_TYPE = 'vnd.docker.reference.type'
const REFERENCE_DIGEST = 'vnd.docker.reference.digest'

/** The entries of an index that are to be stored. */
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
