import { algorithmOf, type Digest, digestOf } from '../../oci/digest.ts'
import {
  childrenOf,
  type Descriptor,
  MAX_MANIFEST_BYTES,
  type Manifest,
  manifestTypeOf,
  parseManifest,
} from '../../oci/manifest.ts'
import { DOCKER_MANIFEST, essence, isManifestType, OCI_MANIFEST } from '../../oci/media-types.ts'
import { Failure } from '../../ports/failure.ts'
import type { ManifestRefusal, ManifestToPush } from '../../ports/hosted.ts'

/** A pushed manifest that may be stored if the repository has all that it needs. */
export interface CheckedManifest {
  readonly digest: Digest
  readonly mediaType: string
  readonly references: readonly Digest[]
  /** What the repository must have. */
  readonly needed: readonly Digest[]
  readonly subject: Digest | undefined
}

/** Layers that their publishers do not let registries have. */
const NOT_DISTRIBUTABLE = /\.foreign\.|\.nondistributable\./

/** Checks what can be said of a manifest without looking at the repository. Throws the `too-large` `Failure`. */
export function checkManifest(
  push: Pick<ManifestToPush, 'bytes' | 'mediaType' | 'digest' | 'algorithm'>,
): { readonly manifest: CheckedManifest } | { readonly refusal: ManifestRefusal } {
  const { bytes, digest } = push
  if (bytes.length > MAX_MANIFEST_BYTES) {
    const message = `The manifest has ${bytes.length} bytes; ${MAX_MANIFEST_BYTES} are allowed.`
    throw new Failure('too-large', message)
  }
  const found = digestOf(bytes, digest === undefined ? push.algorithm : algorithmOf(digest))
  if (digest !== undefined && found !== digest) return { refusal: { kind: 'wrong-digest', found } }
  const declared = essence(push.mediaType)
  const parsed = parseManifest(bytes, declared)
  const problem = parsed.ok ? problemOf(parsed.value, declared) : parsed.problem
  if (!parsed.ok || problem !== undefined) {
    return { refusal: { kind: 'invalid', problem: problem ?? 'the manifest is malformed' } }
  }
  const children = childrenOf(parsed.value)
  return {
    manifest: {
      digest: found,
      mediaType: manifestTypeOf(declared, parsed.value),
      references: children.map((child) => child.digest),
      needed: children.filter(isDistributable).map((child) => child.digest),
      subject: parsed.value.subject?.digest,
    },
  }
}

function problemOf(manifest: Manifest, declared: string): string | undefined {
  const { mediaType, kind, unknownDigests } = manifest
  if (mediaType !== undefined && isManifestType(declared) && essence(mediaType) !== declared) {
    return `the manifest is ${mediaType}, but was pushed as ${declared}`
  }
  if (unknownDigests.length > 0) {
    return `the digest ${unknownDigests[0]} is malformed, or neither sha256 nor sha512`
  }
  // Clients would not agree on what such a manifest means (CVE-2021-41190).
  if (kind === 'image' && manifest.manifests.length > 0) {
    return 'a manifest of an image cannot list manifests: push an index, with the media type of one'
  }
  if (kind === 'index' && (manifest.config !== undefined || manifest.layers.length > 0)) {
    return 'an index cannot have a config or layers: push a manifest, with the media type of one'
  }
  const type = manifestTypeOf(declared, manifest)
  if (manifest.config === undefined && (type === OCI_MANIFEST || type === DOCKER_MANIFEST)) {
    return 'the manifest has no config'
  }
  return undefined
}

function isDistributable({ isForeign, mediaType }: Descriptor): boolean {
  return !isForeign && (mediaType === undefined || !NOT_DISTRIBUTABLE.test(mediaType))
}
