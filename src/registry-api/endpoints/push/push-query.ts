import { type Parsed, parsed, refused } from '../../../lib/parsed.ts'
import { type Algorithm, algorithmOf, type Digest, parseDigest } from '../../../oci/digest.ts'
import { isTag } from '../../../oci/names/names.ts'

/** What the query of a push says. */
export interface PushQuery {
  /** The digest of the whole content that is being sent. */
  readonly digest: Digest | undefined
  /** By which algorithm the content is to be named. */
  readonly algorithm: Algorithm
  /** The blob that is to be mounted, and the name of the repository that has it, as the client writes it. */
  readonly mount: { readonly digest: Digest; readonly from: string } | undefined
  /** More tags for the manifest. */
  readonly tags: readonly string[]
}

/** The most tags that one request may set. */
const MAX_TAGS = 100

export function parsePushQuery(text: string): Parsed<PushQuery> {
  const query = new URLSearchParams(text)
  const [digest, mounted] = [digestIn(query, 'digest'), digestIn(query, 'mount')]
  if (!digest.ok) return digest
  if (!mounted.ok) return mounted
  const named = query.get('digest-algorithm')
  if (named !== null && named !== 'sha256' && named !== 'sha512')
    return refused('digest-algorithm is not known: expected sha256 or sha512')
  const tags = [...new Set(query.getAll('tag'))]
  if (!tags.every(isTag)) return refused('a tag in the query is not valid')
  if (tags.length > MAX_TAGS) return refused(`the query has more than ${MAX_TAGS} tags`)
  const from = query.get('from')
  return parsed({
    digest: digest.value,
    algorithm: named ?? (digest.value === undefined ? 'sha256' : algorithmOf(digest.value)),
    mount: mounted.value === undefined || from === null ? undefined : { digest: mounted.value, from },
    tags,
  })
}

function digestIn(query: URLSearchParams, key: string): Parsed<Digest | undefined> {
  const text = query.get(key)
  if (text === null) return parsed(undefined)
  const digest = parseDigest(text)
  if (digest !== undefined) return parsed(digest)
  return refused(`${key} is not a digest: expected sha256:<64 hex digits> or sha512:<128 hex digits>`)
}
