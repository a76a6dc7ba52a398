import * as v from 'valibot'
import { parseJson } from '../../../lib/json.ts'
import { parseDigest } from '../../../oci/digest.ts'
import type { HostedTag } from '../../../ports/hosted/hosted-catalog.ts'

/** What the index stores of a tag. When it was pulled changes often, and is stored separately. */
export type TagValue = Pick<HostedTag, 'digest' | 'mediaType' | 'pushedAt'>

const StoredTag = v.object({ digest: v.string(), mediaType: v.optional(v.string()), pushedAt: v.number() })

export function encodeTag({ digest, mediaType, pushedAt }: TagValue): string {
  return JSON.stringify({ digest, mediaType, pushedAt })
}

/** Gives the tag; undefined for a text that is not one. */
export function decodeTag(text: string): TagValue | undefined {
  const parsed = v.safeParse(StoredTag, parseJson(text))
  if (!parsed.success) return undefined
  const { mediaType, pushedAt } = parsed.output
  const digest = parseDigest(parsed.output.digest)
  return digest === undefined ? undefined : { digest, mediaType, pushedAt }
}
