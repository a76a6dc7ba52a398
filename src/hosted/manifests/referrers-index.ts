import { mapConcurrently } from '../../lib/async/map-concurrently.ts'
import type { Digest } from '../../oci/digest.ts'
import { parseManifest } from '../../oci/manifest.ts'
import { OCI_INDEX } from '../../oci/media-types.ts'

const MAX_PARALLEL_READS = 4

/** A referrer, as the index of referrers lists it. */
export interface ReferrerDescriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

/**
 * Describes a manifest by the rules of the distribution spec, "Listing Referrers": an image without an artifact type has that
 * of its config.
 */
export function describeReferrer(digest: Digest, mediaType: string, bytes: Uint8Array): ReferrerDescriptor {
  const descriptor = { mediaType, digest, size: bytes.length }
  const parsed = parseManifest(bytes, mediaType)
  if (!parsed.ok) return descriptor
  const { kind, config, annotations } = parsed.value
  const artifactType = parsed.value.artifactType || (kind === 'image' ? config?.mediaType : undefined)
  return {
    ...descriptor,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  }
}

/** The index of these referrers; those of which `describe` gives undefined are left out. */
export async function indexOfReferrers(
  digests: readonly Digest[],
  describe: (digest: Digest) => Promise<ReferrerDescriptor | undefined>,
): Promise<Uint8Array> {
  const found = new Map<Digest, ReferrerDescriptor>()
  for await (const one of mapConcurrently(digests, MAX_PARALLEL_READS, describe)) {
    if (one !== undefined) found.set(one.digest, one)
  }
  // The order does not depend on which manifest was read first.
  const manifests = digests.flatMap((digest) => found.get(digest) ?? [])
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }))
}
