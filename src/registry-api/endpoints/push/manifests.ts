import { publish } from '../../../observe/events.ts'
import { algorithmOf, type Digest } from '../../../oci/digest.ts'
import { MAX_MANIFEST_BYTES } from '../../../oci/manifest.ts'
import { essence, isMediaType } from '../../../oci/media-types.ts'
import type { ManifestRefusal, PushedManifest } from '../../../ports/hosted.ts'
import { COMMON_HEADERS, type ErrorAnswer, RefusedRequest, respondError } from '../../answer/respond.ts'
import type { HttpExchange } from '../../exchange/http-exchange.ts'
import { linkTo, NO_BODY, type PushResources, type PushTarget } from './push-context.ts'
import { receiveWholeBody } from './whole-body.ts'

/** How many missing digests an error names. */
const MAX_NAMED_DIGESTS = 100

/** Takes a manifest by its digest or by a tag, and with it all tags of the query. */
export async function respondPushManifest(
  exchange: HttpExchange,
  target: PushTarget,
  named: { readonly digest: Digest | undefined; readonly tag: string | undefined },
  resources: PushResources,
): Promise<void> {
  const { repository, query } = target
  const mediaType = declaredType(exchange)
  const tags = named.tag === undefined ? query.tags : [...new Set([named.tag, ...query.tags])]
  const bytes = await receiveWholeBody(exchange, MAX_MANIFEST_BYTES, resources)
  const { digest = query.digest } = named
  const algorithm = digest === undefined ? query.algorithm : algorithmOf(digest)
  const result = await resources.hosted.putManifest(repository, { bytes, mediaType, digest, algorithm, tags })
  if ('refusal' in result) return respondError(exchange, answerForRefusal(result.refusal))
  const { pushed } = result
  exchange.answer(201, headersFor(target, pushed, tags), NO_BODY)
  publish('hosted.pushed', {
    repository,
    digest: pushed.digest,
    mediaType,
    size: bytes.length,
    tags,
    client: exchange.client.address,
  })
}

function headersFor(
  target: PushTarget,
  { digest, subject }: PushedManifest,
  tags: readonly string[],
): Record<string, string | number> {
  return {
    ...COMMON_HEADERS,
    Location: linkTo(target, `manifests/${digest}`),
    'Docker-Content-Digest': digest,
    'Content-Length': 0,
    ...(subject === undefined ? {} : { 'OCI-Subject': subject }),
    ...(tags.length === 0 ? {} : { 'OCI-Tag': tags.join(', ') }),
  }
}

/** OCI distribution spec, "Pushing Manifests": parameters of the type are ignored. */
function declaredType({ headers }: HttpExchange): string {
  const text = headers['content-type']
  if (text !== undefined && isMediaType(text)) return essence(text)
  const message = 'Content-Type is missing or not valid: send the media type of the manifest'
  throw new RefusedRequest({ status: 400, code: 'MANIFEST_INVALID', message })
}

function answerForRefusal(refusal: ManifestRefusal): ErrorAnswer {
  switch (refusal.kind) {
    case 'invalid':
      return { status: 400, code: 'MANIFEST_INVALID', message: refusal.problem }
    case 'wrong-digest':
      return {
        status: 400,
        code: 'DIGEST_INVALID',
        message: `the manifest has the digest ${refusal.found}`,
        detail: { found: refusal.found },
      }
    case 'missing':
      return {
        status: 400,
        code: 'MANIFEST_BLOB_UNKNOWN',
        message: `the repository lacks ${refusal.missing.length} of the contents that the manifest names: push them first`,
        detail: { missing: refusal.missing.slice(0, MAX_NAMED_DIGESTS) },
      }
  }
}
