import * as v from 'valibot'
import { parseJson } from '../../../lib/json.ts'
import type { Digest } from '../../../oci/digest.ts'
import type { HostedLink } from '../../../ports/hosted/hosted-catalog.ts'

const StoredLink = v.object({
  kind: v.picklist(['manifest', 'blob']),
  mediaType: v.optional(v.string()),
  linkedAt: v.number(),
})

/** Gives the link; undefined for a text that is not one. */
export function decodeLink(digest: Digest, text: string): HostedLink | undefined {
  const parsed = v.safeParse(StoredLink, parseJson(text))
  if (!parsed.success) return undefined
  const { kind, mediaType, linkedAt } = parsed.output
  return { digest, kind, mediaType, linkedAt }
}

export function encodeLink({ kind, mediaType, linkedAt }: Omit<HostedLink, 'digest'>): string {
  return JSON.stringify({ kind, mediaType, linkedAt })
}
