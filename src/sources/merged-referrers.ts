import { type Descriptor, parseManifest } from '../oci/manifest.ts'
import { OCI_INDEX } from '../oci/media-types.ts'

/** The descriptors of the sources, and those of the index that upstream has given, each digest once. */
export function mergedReferrers(own: readonly Descriptor[], upstream: Uint8Array | undefined): Uint8Array {
  const parsed = upstream === undefined ? undefined : parseManifest(upstream)
  const others = parsed?.ok === true ? parsed.value.manifests : []
  const all = new Map([...others, ...own].map((descriptor) => [descriptor.digest, descriptor]))
  const manifests = [...all.values()].map(({ digest, size, mediaType, artifactType, annotations }) => ({
    mediaType,
    digest,
    size,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  }))
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }))
}
