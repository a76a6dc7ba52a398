import * as v from 'valibot'
import { jsonObject } from '../lib/json.ts'
import { type Parsed, parsed, refused } from '../lib/parsed.ts'
import { algorithmOf, type Digest, hexOf } from './digest.ts'
import { OCI_INDEX } from './media-types.ts'

// The schema is loose at every level, so that annotations and fields of later specs are passed on unchanged.
const IndexSchema = v.looseObject({
  manifests: v.nullish(v.array(v.looseObject({ artifactType: v.optional(v.string()) }))),
})
const ListSchema = v.looseObject({ manifests: v.array(v.looseObject({ digest: v.string() })) })

/** A descriptor in a list of referrers, with all its fields. */
export type ListedReferrer = v.InferOutput<typeof ListSchema>['manifests'][number]

/** Removes the referrers of other artifact types from an index of referrers. */
export function filterReferrers(index: Uint8Array, artifactType: string): Parsed<Buffer> {
  const json = jsonObject(index)
  if (json === undefined) return refused('the list of referrers is not a JSON object')
  const checked = v.safeParse(IndexSchema, json)
  if (!checked.success) return refused('the list of referrers is not an image index')
  const manifests = (checked.output.manifests ?? []).filter((one) => one.artifactType === artifactType)
  return parsed(Buffer.from(JSON.stringify({ ...checked.output, manifests })))
}

/** The descriptors of a list of referrers; none if the bytes are no such list. */
export function descriptorsIn(index: Uint8Array): readonly ListedReferrer[] {
  const list = v.safeParse(ListSchema, jsonObject(index))
  return list.success ? list.output.manifests : []
}

/** Adds descriptors to a list of referrers, unless it has their digests. Empty bytes are an empty list. */
export function addReferrers(index: Uint8Array, added: readonly ListedReferrer[]): Buffer {
  const listed = descriptorsIn(index)
  const digests = new Set(listed.map(({ digest }) => digest))
  const manifests = [...listed, ...added.filter(({ digest }) => !digests.has(digest))]
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }))
}

const REFERRER_TAG = /^(sha256|sha512)-([\da-f]{64})[\da-f]*(?:\..*)?$/

/**
 * The fallback tag of the subject to which a tag belongs: a fallback tag itself, or one of cosign, such as `sha256-<hex>.sig`.
 * Undefined: the tag is that of an image.
 */
export function fallbackTagIn(tag: string): string | undefined {
  const [, algorithm, hex] = REFERRER_TAG.exec(tag) ?? []
  return algorithm === undefined ? undefined : `${algorithm}-${hex}`
}

/** The tag under which clients find the list in registries without the API (OCI distribution spec, Referrers Tag Schema). */
export function fallbackTagOf(subject: Digest): string {
  return `${algorithmOf(subject)}-${hexOf(subject).slice(0, 64)}`
}
