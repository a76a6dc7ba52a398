import * as v from 'valibot'
import { parseJson } from '../../lib/json.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { BlobFacts } from '../../ports/blob-store.ts'
import type { LinkToMake } from '../../ports/hosted/hosted-catalog.ts'

/** The entry of a blob in the index. The last use changes often, so it is stored separately. */
export interface BlobEntry extends Omit<BlobFacts, 'lastUsedAt'> {
  /** The bytes are in the index, too: there is no file. */
  readonly isInline?: true
}

/** A larger content is a file: the index stays small, and is quick to open. */
export const MOST_INLINE_BYTES = 64 * 1024

/** How a blob that is being stored relates to other content and to names. */
export interface BlobRelations {
  readonly references: readonly Digest[]
  readonly subject: Digest | undefined
  /** Undefined for a file that was found on disk: the name under which it was fetched is unknown. */
  readonly repository: Repository | undefined
  readonly checkpoints?: Uint8Array | undefined
  /** The content itself, for an inline entry. */
  readonly bytes?: Uint8Array | undefined
  /** For a content that was pushed: the link that the same batch makes. */
  readonly link?: LinkToMake | undefined
}

const StoredEntry = v.object({
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  kind: v.picklist(['manifest', 'blob']),
  mediaType: v.optional(v.string()),
  storedAt: v.number(),
  origin: v.string(),
  isInline: v.optional(v.literal(true)),
})

export function encodeEntry({ digest: _, ...value }: BlobEntry): string {
  return JSON.stringify(value)
}

/** Gives the entry; undefined for a text that is not one. */
export function decodeEntry(digest: Digest, text: string): BlobEntry | undefined {
  const parsed = v.safeParse(StoredEntry, parseJson(text))
  if (!parsed.success) return undefined
  const { size, kind, mediaType, storedAt, origin, isInline } = parsed.output
  return { digest, size, kind, mediaType, storedAt, origin, ...(isInline && { isInline }) }
}
