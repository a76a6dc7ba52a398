import { readAll } from '../../fetch/manifests/manifest-body.ts'
import type { Digest } from '../../oci/digest.ts'
import { MAX_MANIFEST_BYTES, type Manifest, manifestTypeOf, parseManifest } from '../../oci/manifest.ts'
import type { BlobStore } from '../../ports/blob-store.ts'

export interface StoredManifest {
  readonly bytes: Uint8Array
  readonly mediaType: string
  readonly manifest: Manifest
}

/** Reads a manifest from the store; undefined: it is not stored, or it is no manifest. */
export async function readStoredManifest(
  blobs: Pick<BlobStore, 'facts' | 'open'>,
  digest: Digest,
): Promise<StoredManifest | undefined> {
  const facts = await blobs.facts(digest)
  if (facts === undefined || facts.kind !== 'manifest' || facts.size > MAX_MANIFEST_BYTES) return undefined
  const content = await blobs.open(digest)
  if (content === undefined) return undefined
  try {
    const bytes = await readAll((target, position) => content.read(target, position), content.size)
    const manifest = parseManifest(bytes, content.mediaType)
    if (!manifest.ok) return undefined
    return { bytes, mediaType: manifestTypeOf(content.mediaType, manifest.value), manifest: manifest.value }
  } finally {
    await content.close()
  }
}
