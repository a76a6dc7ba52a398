import * as v from 'valibot'
import { jsonObject } from '../lib/json.ts'
import { type Parsed, parsed, refused, shortText } from '../lib/parsed.ts'
import { type Digest, parseDigest } from './digest.ts'
import {
  essence,
  isIndexType,
  isManifestType,
  isSchema1Type,
  OCI_INDEX,
  OCI_MANIFEST,
} from './media-types.ts'

/** The largest manifest that is stored: what the distribution spec 1.1, "Pushing Manifests", asks registries to accept. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024

export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant: string | undefined
}

/** A reference to content, as OCI image spec, "Descriptor", defines it. */
export interface Descriptor {
  readonly digest: Digest
  readonly size: number
  readonly mediaType: string | undefined
  readonly artifactType: string | undefined
  readonly platform: Platform | undefined
  readonly annotations: Readonly<Record<string, string>>
  /** The descriptor has URLs, from which clients fetch the content instead of from the registry. Windows base layers do. */
  readonly isForeign: boolean
}

/** The fields of a manifest or an index that the agent uses. The bytes are never rewritten. */
export interface Manifest {
  readonly kind: 'image' | 'index'
  readonly mediaType: string | undefined
  readonly artifactType: string | undefined
  readonly config: Descriptor | undefined
  readonly layers: readonly Descriptor[]
  /** The manifests and indexes that an index lists. */
  readonly manifests: readonly Descriptor[]
  readonly subject: Descriptor | undefined
  readonly annotations: Readonly<Record<string, string>>
  /** Digests of an unknown algorithm, or malformed ones: what they name is left out above. */
  readonly unknownDigests: readonly string[]
}

const Annotations = v.record(v.string(), v.string())

const DescriptorSchema = v.object({
  digest: v.string(),
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  mediaType: v.optional(v.string()),
  artifactType: v.optional(v.string()),
  platform: v.nullish(
    v.object({
      os: v.optional(v.string(), ''),
      architecture: v.optional(v.string(), ''),
      variant: v.optional(v.string()),
    }),
  ),
  annotations: v.nullish(Annotations),
  urls: v.nullish(v.array(v.string())),
})

const ManifestSchema = v.object({
  schemaVersion: v.optional(v.number()),
  mediaType: v.optional(v.string()),
  artifactType: v.optional(v.string()),
  config: v.nullish(DescriptorSchema),
  layers: v.nullish(v.array(DescriptorSchema)),
  blobs: v.nullish(v.array(DescriptorSchema)),
  manifests: v.nullish(v.array(DescriptorSchema)),
  subject: v.nullish(DescriptorSchema),
  annotations: v.nullish(Annotations),
  fsLayers: v.nullish(v.array(v.unknown())),
})

/** Parses a manifest. `declaredType` is its Content-Type, which counts only if the manifest states no media type itself. */
export function parseManifest(bytes: Uint8Array, declaredType?: string): Parsed<Manifest> {
  const json = jsonObject(bytes)
  if (json === undefined) return refused('the manifest is not a JSON object')
  const checked = v.safeParse(ManifestSchema, json)
  if (!checked.success) {
    const [issue] = checked.issues
    const place = shortText(v.getDotPath(issue) ?? 'its top')
    return refused(`the manifest is malformed at ${place}: ${shortText(issue.message)}`)
  }
  const fields = checked.output
  const mediaType = fields.mediaType ?? (declaredType === undefined ? undefined : essence(declaredType))
  if (isSchema1(fields, mediaType))
    return refused('this is a schema 1 manifest, which is no longer supported')
  const isIndex =
    mediaType !== undefined && isManifestType(mediaType) ? isIndexType(mediaType) : !!fields.manifests
  const { config, layers, blobs, manifests, subject } = fields
  const named = [config, ...(layers ?? []), ...(blobs ?? []), ...(manifests ?? []), subject]
  return parsed({
    kind: isIndex ? 'index' : 'image',
    mediaType,
    artifactType: fields.artifactType,
    config: config ? descriptor(config) : undefined,
    layers: descriptors([...(layers ?? []), ...(blobs ?? [])]),
    manifests: descriptors(manifests ?? []),
    subject: subject ? descriptor(subject) : undefined,
    annotations: fields.annotations ?? {},
    unknownDigests: named.flatMap((one) =>
      one && parseDigest(one.digest) === undefined ? [one.digest] : [],
    ),
  })
}

/** The type under which a manifest is served: what its descriptor declares, or else what the manifest says of itself. */
export function manifestTypeOf(declared: string | undefined, manifest: Manifest): string {
  if (declared !== undefined && isManifestType(declared)) return declared
  if (manifest.mediaType !== undefined && isManifestType(manifest.mediaType)) return manifest.mediaType
  return manifest.kind === 'index' ? OCI_INDEX : OCI_MANIFEST
}

/** Lists the content that an image needs besides this manifest, each digest once. The subject is not needed. */
export function childrenOf(manifest: Manifest): readonly Descriptor[] {
  const children = new Map<Digest, Descriptor>()
  const { config, layers, manifests } = manifest
  for (const child of config === undefined ? [...layers, ...manifests] : [config, ...layers, ...manifests]) {
    if (!children.has(child.digest)) children.set(child.digest, child)
  }
  return [...children.values()]
}

function isSchema1(fields: v.InferOutput<typeof ManifestSchema>, mediaType: string | undefined): boolean {
  if (mediaType !== undefined && isSchema1Type(mediaType)) return true
  return fields.schemaVersion === 1 && fields.fsLayers !== undefined
}

function descriptors(shapes: readonly v.InferOutput<typeof DescriptorSchema>[]): readonly Descriptor[] {
  return shapes.map(descriptor).filter((found) => found !== undefined)
}

/** Gives undefined for a digest of an unknown algorithm: the agent cannot verify such content, so it does not serve it. */
function descriptor(fields: v.InferOutput<typeof DescriptorSchema>): Descriptor | undefined {
  const digest = parseDigest(fields.digest)
  if (digest === undefined) return undefined
  const { platform } = fields
  return {
    digest,
    size: fields.size,
    mediaType: fields.mediaType,
    artifactType: fields.artifactType,
    platform: platform
      ? { os: platform.os, architecture: platform.architecture, variant: platform.variant }
      : undefined,
    annotations: fields.annotations ?? {},
    isForeign: (fields.urls ?? []).length > 0,
  }
}
