import type { Digest } from '../../oci/digest.ts'
import { childrenOf, MAX_MANIFEST_BYTES, parseManifest } from '../../oci/manifest.ts'
import { essence, isManifestType, isSchema1Type, OCI_INDEX, OCI_MANIFEST } from '../../oci/media-types.ts'
import type { Content } from '../../ports/content.ts'
import { Failure } from '../../ports/failure.ts'
import type { Description } from '../flight/description.ts'
import { readContent } from './manifest-body.ts'
import type { Manifest } from './manifest-memory.ts'

/**
 * Describes a manifest. Its type is the one that upstream has declared, because clients must get the same; if upstream has
 * declared none that is usable, it is the one that the manifest itself gives.
 */
export function describeManifest(bytes: Uint8Array, declared: string | undefined): Description {
  const declaredType = declared === undefined ? undefined : essence(declared)
  if (declaredType !== undefined && isSchema1Type(declaredType)) {
    throw new Failure(
      'unsupported',
      'This image has a schema 1 manifest, which no current client can use; ask its publisher to rebuild it.',
    )
  }
  const manifest = parseManifest(bytes, declaredType)
  // Content that is no manifest has the right digest all the same, and is served as it came.
  if (!manifest.ok) return { mediaType: declaredType, references: [], subject: undefined }
  const { value } = manifest
  const isDeclared = declaredType !== undefined && isManifestType(declaredType)
  const inferred = value.mediaType ?? (value.kind === 'index' ? OCI_INDEX : OCI_MANIFEST)
  return {
    mediaType: isDeclared ? declaredType : inferred,
    references: childrenOf(value).map((child) => child.digest),
    foreign: childrenOf(value).flatMap(({ digest, isForeign }) => (isForeign ? digest : [])),
    subject: value.subject?.digest,
  }
}

/**
 * The digests that the manifest proves to be in its repository. A registry accepts a manifest only if it has what the
 * manifest references, except foreign layers and the subject, which may be anywhere.
 */
export function provenDigests({ references, foreign = [] }: Description): readonly Digest[] {
  return foreign.length === 0 ? references : references.filter((digest) => !foreign.includes(digest))
}

/** The manifests that an image index lists; none when the bytes are no index. */
export function listedManifests(index: Uint8Array): readonly Digest[] {
  const parsed = parseManifest(index)
  return parsed.ok ? parsed.value.manifests.map(({ digest }) => digest) : []
}

/** Reads a manifest whole, as its bytes come. */
export async function readManifest(content: Content, options: { signal: AbortSignal }): Promise<Manifest> {
  const { digest, size } = content
  if (size > MAX_MANIFEST_BYTES) throw notAManifest(digest)
  const bytes = await readContent(content, options)
  return { digest, mediaType: mediaTypeIn(content, bytes), bytes }
}

export async function readMediaType(content: Content, options: { signal: AbortSignal }): Promise<string> {
  if (content.size > MAX_MANIFEST_BYTES) throw notAManifest(content.digest)
  return content.mediaType ?? mediaTypeIn(content, await readContent(content, options))
}

function mediaTypeIn(content: Content, bytes: Uint8Array): string {
  const mediaType = content.mediaType ?? describeManifest(bytes, undefined).mediaType
  if (mediaType === undefined) throw notAManifest(content.digest)
  return mediaType
}

function notAManifest(digest: Digest): Failure {
  return new Failure('absent', `${digest} is not a manifest.`)
}
