import * as v from 'valibot'
import { jsonObject } from '../lib/json.ts'
import { type Parsed, parsed, refused } from '../lib/parsed.ts'
import { type Digest, parseDigest } from './digest.ts'
import { essence, isIndexType, isManifestType, isSchema1Type } from './media-types.ts'

/** The largest manifest that is stored: what the distribution spec 1.1, "Pushing Manifests", asks registries to accept. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024

export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant: string | undefined
}

/** Points at content; OCI image spec, "Descriptor". */
export interface Descriptor {
  readonly digest: Digest
  readonly size: number
  readonly mediaType: string | undefined
  readonly artifactType: string | undefined
  readonly platform: Platform | undefined
  readonly annotations: Readonly<Record<string, string>>
  /** The content is fetched from there and not from the registry: Windows base layers. */
  readonly isForeign: boolean
}

/** What a manifest or an index says, as far as this agent cares. Its bytes are never rewritten. */
export interface Manifest {
  readonly kind: 'image' | 'index'
  readonly mediaType: string | undefined
  readonly artifactType: string | undefined
  readonly config: Descriptor | undefined
  readonly layers: readonly Descriptor[]
  /** Manifests and indexes inside an index. */
  readonly manifests: readonly Descriptor[]
  readonly subject: Descriptor | undefined
  readonly annotations: Readonly<Record<string, string>>
}

const Annotations = v.record(v.string(), v.string())

const DescriptorShape = v.object({
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

const ManifestShape = v.object({
  schemaVersion: v.optional(v.number()),
  mediaType: v.optional(v.string()),
  artifactType: v.optional(v.string()),
  config: v.nullish(DescriptorShape),
  layers: v.nullish(v.array(DescriptorShape)),
  blobs: v.nullish(v.array(DescriptorShape)),
  manifests: v.nullish(v.array(DescriptorShape)),
  subject: v.nullish(DescriptorShape),
  annotations: v.nullish(Annotations),
  fsLayers: v.nullish(v.array(v.unknown())),
})

/** `declaredType` is the Content-Type it came with; what the manifest says of itself goes first. */
export function parseManifest(bytes: Uint8Array, declaredType?: string): Parsed<Manifest> {
  const json = jsonObject(bytes)
  if (json === undefined) return refused('the manifest is not a JSON object')
  const checked = v.safeParse(ManifestShape, json)
  if (!checked.success) {
    const [issue] = checked.issues
    return refused(`the manifest is malformed at ${v.getDotPath(issue) ?? 'its top'}: ${issue.message}`)
  }
  const shape = checked.output
  const mediaType = shape.mediaType ?? (declaredType === undefined ? undefined : essence(declaredType))
  if (isSchema1(shape, mediaType)) return refused('this is a schema 1 manifest, which is no longer supported')
  const isIndex =
    mediaType !== undefined && isManifestType(mediaType) ? isIndexType(mediaType) : !!shape.manifests
  return parsed({
    kind: isIndex ? 'index' : 'image',
    mediaType,
    artifactType: shape.artifactType,
    config: shape.config ? descriptor(shape.config) : undefined,
    layers: descriptors([...(shape.layers ?? []), ...(shape.blobs ?? [])]),
    manifests: descriptors(shape.manifests ?? []),
    subject: shape.subject ? descriptor(shape.subject) : undefined,
    annotations: shape.annotations ?? {},
  })
}

/** Every digest that must be here for this manifest to be whole, each once. Its subject is not needed. */
export function childrenOf(manifest: Manifest): readonly Descriptor[] {
  const children = new Map<Digest, Descriptor>()
  const { config, layers, manifests } = manifest
  for (const child of config === undefined ? [...layers, ...manifests] : [config, ...layers, ...manifests]) {
    if (!children.has(child.digest)) children.set(child.digest, child)
  }
  return [...children.values()]
}

function isSchema1(shape: v.InferOutput<typeof ManifestShape>, mediaType: string | undefined): boolean {
  if (mediaType !== undefined && isSchema1Type(mediaType)) return true
  return shape.schemaVersion === 1 && shape.fsLayers !== undefined
}

function descriptors(shapes: readonly v.InferOutput<typeof DescriptorShape>[]): readonly Descriptor[] {
  return shapes.map(descriptor).filter((found) => found !== undefined)
}

/** Undefined for a digest of an algorithm that this agent does not know: it cannot hold that content, others may. */
function descriptor(shape: v.InferOutput<typeof DescriptorShape>): Descriptor | undefined {
  const digest = parseDigest(shape.digest)
  if (digest === undefined) return undefined
  const { platform } = shape
  return {
    digest,
    size: shape.size,
    mediaType: shape.mediaType,
    artifactType: shape.artifactType,
    platform: platform
      ? { os: platform.os, architecture: platform.architecture, variant: platform.variant }
      : undefined,
    annotations: shape.annotations ?? {},
    isForeign: (shape.urls ?? []).length > 0,
  }
}
