import type { Descriptor } from '../oci/manifest.ts'
import { addReferrers } from '../oci/referrers.ts'

/** The index that upstream has given, with the descriptors of the sources that it lacks. */
export function mergedReferrers(own: readonly Descriptor[], upstream: Uint8Array | undefined): Uint8Array {
  const manifests = own.map(({ digest, size, mediaType, artifactType, annotations }) => ({
    mediaType,
    digest,
    size,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  }))
  return addReferrers(upstream ?? new Uint8Array(), manifests)
}
