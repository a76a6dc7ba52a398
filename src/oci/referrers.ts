import * as v from 'valibot'
import { jsonObject } from '../lib/json.ts'
import { type Parsed, parsed, refused } from '../lib/parsed.ts'

// The schema is loose at every level, so that annotations and fields of later specs are passed on unchanged.
const IndexSchema = v.looseObject({
  manifests: v.nullish(v.array(v.looseObject({ artifactType: v.optional(v.string()) }))),
})

/** Removes the referrers of other artifact types from an index of referrers. */
export function filterReferrers(index: Uint8Array, artifactType: string): Parsed<Buffer> {
  const json = jsonObject(index)
  if (json === undefined) return refused('the list of referrers is not a JSON object')
  const checked = v.safeParse(IndexSchema, json)
  if (!checked.success) return refused('the list of referrers is not an image index')
  const manifests = (checked.output.manifests ?? []).filter((one) => one.artifactType === artifactType)
  return parsed(Buffer.from(JSON.stringify({ ...checked.output, manifests })))
}
