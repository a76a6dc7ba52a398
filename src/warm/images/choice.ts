import type { Descriptor, Platform } from '../../oci/manifest.ts'
import { selectForPlatform } from '../../oci/platform.ts'
import type { Wanted } from './order.ts'

/** What docker buildx puts beside the manifests of an image, in the same index. */
const REFERENCE_TYPE = 'vnd.docker.reference.type'
const REFERENCE_DIGEST = 'vnd.docker.reference.digest'

/** What is wanted of an index. */
export interface Choice {
  readonly taken: readonly Descriptor[]
  /** Attestations of those that are taken. */
  readonly attestations: readonly Descriptor[]
  /** Those wanted that it has nothing for. */
  readonly missing: readonly Platform[]
}

/** A manifest that names no platform may be for any, and is taken, as the runtimes do. */
export function choose(manifests: readonly Descriptor[], wanted: Wanted): Choice {
  if (wanted === 'all') return { taken: manifests, attestations: [], missing: [] }
  const images = manifests.filter((one) => !isAttestation(one))
  const taken = new Set(images.filter(({ platform }) => platform === undefined))
  const missing: Platform[] = []
  for (const platform of wanted.platforms) {
    const found = selectForPlatform(images, platform)
    for (const one of found) taken.add(one)
    if (found.length === 0) missing.push(platform)
  }
  const isNamed = images.every(({ platform }) => platform !== undefined)
  const digests = new Set([...taken].map(({ digest }) => String(digest)))
  return {
    taken: [...taken],
    attestations: manifests.filter(
      (one) => isAttestation(one) && digests.has(one.annotations[REFERENCE_DIGEST] ?? ''),
    ),
    missing: isNamed ? missing : [],
  }
}

function isAttestation({ annotations }: Descriptor): boolean {
  return annotations[REFERENCE_TYPE] !== undefined
}
