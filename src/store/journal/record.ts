import * as v from 'valibot'
import { parseJson } from '../../lib/json.ts'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import { type Repository, repositoryFromKey, repositoryKey } from '../../oci/names/repository.ts'

/** One change of what is hosted. A later record of the same name replaces an earlier one. */
export type JournalRecord =
  | {
      readonly do: 'link'
      readonly repository: Repository
      readonly digest: Digest
      readonly kind: 'manifest' | 'blob'
      readonly mediaType: string | undefined
      /** The content itself, if it is inline. */
      readonly bytes: Uint8Array | undefined
    }
  | {
      readonly do: 'tag'
      readonly repository: Repository
      readonly tag: string
      readonly digest: Digest
      readonly mediaType: string | undefined
      readonly pushedAt: number
    }
  /** `at`: when it was removed. What the index has from a later time was made after that. */
  | { readonly do: 'unlink'; readonly repository: Repository; readonly digest: Digest; readonly at: number }
  | { readonly do: 'untag'; readonly repository: Repository; readonly tag: string; readonly at: number }

/** Records that were written without a time remove nothing that the index has. */
const RemovedAt = v.optional(v.number(), 0)

const Written = v.variant('do', [
  v.object({
    do: v.literal('link'),
    repository: v.string(),
    digest: v.string(),
    kind: v.picklist(['manifest', 'blob']),
    mediaType: v.optional(v.string()),
    bytes: v.optional(v.string()),
  }),
  v.object({
    do: v.literal('tag'),
    repository: v.string(),
    tag: v.string(),
    digest: v.string(),
    mediaType: v.optional(v.string()),
    pushedAt: v.number(),
  }),
  v.object({ do: v.literal('unlink'), repository: v.string(), digest: v.string(), at: RemovedAt }),
  v.object({ do: v.literal('untag'), repository: v.string(), tag: v.string(), at: RemovedAt }),
])

/** The link or the tag that a record is about. No tag contains the colon that every digest has. */
export function nameIn(record: JournalRecord): string {
  return `${repositoryKey(record.repository)} ${'tag' in record ? record.tag : record.digest}`
}

/** Gives the line of a record. */
export function encodeRecord(record: JournalRecord): string {
  const repository = repositoryKey(record.repository)
  const bytes =
    record.do === 'link' && record.bytes !== undefined
      ? { bytes: Buffer.from(record.bytes).toString('base64') }
      : {}
  return `${JSON.stringify({ ...record, repository, ...bytes })}\n`
}

/** Undefined: the line is damaged, or was not written whole. */
export function parseRecord(line: string): JournalRecord | undefined {
  const parsed = v.safeParse(Written, parseJson(line))
  if (!parsed.success) return undefined
  const repository = repositoryFromKey(parsed.output.repository)
  if (repository === undefined) return undefined
  if (parsed.output.do === 'untag') return { ...parsed.output, repository }
  const digest = parseDigest(parsed.output.digest)
  if (digest === undefined) return undefined
  if (parsed.output.do === 'unlink') return { ...parsed.output, repository, digest }
  const { mediaType } = parsed.output
  if (parsed.output.do === 'tag') return { ...parsed.output, repository, digest, mediaType }
  const { bytes } = parsed.output
  return {
    ...parsed.output,
    repository,
    digest,
    mediaType,
    bytes: bytes === undefined ? undefined : Buffer.from(bytes, 'base64'),
  }
}
