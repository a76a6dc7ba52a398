import * as v from 'valibot'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import { isRepositoryName } from '../../oci/names/names.ts'
import { parseRegistryHost } from '../../oci/names/registry-host.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { FailureCode } from '../../ports/failure.ts'

/** Goes up when an older command could no longer talk to the agent. */
export const CONTROL_VERSION = 1
/** A request names at most so many digests. */
export const MAX_DIGESTS = 5_000
export const MAX_JSON_BYTES = 1024 * 1024

/** The header with the head of a content, as JSON in base64url: node:http accepts 16 KiB of headers. */
export const HEAD_HEADER = 'leat-content'

export const ROUTES = {
  version: '/v1/version',
  stored: '/v1/stored',
  manifest: '/v1/manifest',
  content: '/v1/content',
  copy: '/v1/copy',
  file: '/v1/file',
  image: '/v1/image',
} as const

const digest = v.pipe(
  v.string(),
  v.check((text) => parseDigest(text) !== undefined, 'it is no digest'),
  v.transform((text) => text as Digest),
)
const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const repository = v.pipe(
  v.object({ registry: v.string(), name: v.string() }),
  v.check(
    ({ registry, name }) => parseRegistryHost(registry) === registry && isRepositoryName(name),
    'it is no repository',
  ),
  v.transform((given): Repository => given),
)
const kind = v.picklist(['manifest', 'blob'])
const origin = v.pipe(v.string(), v.maxLength(1024))

export const StoredRequest = v.object({ digests: v.pipe(v.array(digest), v.maxLength(MAX_DIGESTS)) })
export const StoredAnswer = v.object({ stored: v.array(v.object({ digest, size, kind })) })

/** The head of a content; its bytes are the body of the request. */
export const ContentHead = v.object({
  kind,
  repository,
  digest: v.optional(digest),
  algorithm: v.picklist(['sha256', 'sha512']),
  size,
  mediaType: v.optional(v.pipe(v.string(), v.maxLength(255))),
  origin,
})
export const ContentAnswer = v.object({ digest, size })

/** A content in a file, which the agent reads itself if it sees the file in this version. */
export const CopyRequest = v.object({
  content: ContentHead,
  file: v.object({ path: v.string(), start: size, size, version: v.string() }),
})
export const CopyAnswer = v.object({ copied: v.boolean() })

export const FileRequest = v.object({ path: v.string(), digest, repository, origin })
export const FileAnswer = v.object({ moved: v.boolean() })

export const ImageRequest = v.object({
  repository,
  tag: v.optional(v.pipe(v.string(), v.maxLength(128))),
  root: digest,
  referrers: v.pipe(v.array(digest), v.maxLength(MAX_DIGESTS)),
  pin: v.boolean(),
})
export const ImageAnswer = v.object({ missing: v.array(digest) })

export const VersionAnswer = v.object({ control: v.number() })

const CODES: Readonly<Record<FailureCode, true>> = {
  absent: true,
  denied: true,
  unlisted: true,
  busy: true,
  unavailable: true,
  stalled: true,
  corrupt: true,
  'too-large': true,
  unsupported: true,
  stopping: true,
  disk: true,
}
export const FailureAnswer = v.object({
  code: v.pipe(
    v.string(),
    v.check((text) => Object.hasOwn(CODES, text)),
    v.transform((text) => text as FailureCode),
  ),
  error: v.string(),
  found: v.optional(v.string()),
})
