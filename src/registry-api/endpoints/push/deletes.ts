import { publish } from '../../../observe/events.ts'
import type { Digest } from '../../../oci/digest.ts'
import type { OciErrorCode } from '../../../oci/errors.ts'
import { COMMON_HEADERS, respondError } from '../../answer/respond.ts'
import type { HttpExchange } from '../../exchange/http-exchange.ts'
import { NO_BODY, type PushResources, type PushTarget } from './push-context.ts'

/** What is to be deleted from a hosted repository. */
export type Deletion =
  | { readonly kind: 'tag'; readonly tag: string }
  | { readonly kind: 'manifest' | 'blob'; readonly digest: Digest }

const UNKNOWN_CODES: Readonly<Record<Deletion['kind'], OciErrorCode>> = {
  tag: 'MANIFEST_UNKNOWN',
  manifest: 'MANIFEST_UNKNOWN',
  blob: 'BLOB_UNKNOWN',
}

export async function respondDelete(
  exchange: HttpExchange,
  { repository }: PushTarget,
  deletion: Deletion,
  resources: PushResources,
): Promise<void> {
  const { kind } = deletion
  if (!resources.mayDelete) {
    const message =
      'this agent deletes nothing on request: set `hostedDelete: true` in its settings to allow it'
    const headers = { Allow: kind === 'blob' ? 'GET, HEAD' : 'GET, HEAD, PUT' }
    return respondError(exchange, { status: 405, code: 'UNSUPPORTED', message, headers })
  }
  if (!(await wasDeleted(deletion))) {
    return respondError(exchange, {
      status: 404,
      code: UNKNOWN_CODES[kind],
      message: `the repository has no such ${kind}`,
    })
  }
  exchange.answer(202, { ...COMMON_HEADERS, 'Content-Length': 0 }, NO_BODY)
  publish('hosted.deleted', {
    repository,
    kind,
    tags: deletion.kind === 'tag' ? [deletion.tag] : [],
    digest: deletion.kind === 'tag' ? undefined : deletion.digest,
    mediaType: undefined,
    size: undefined,
    client: exchange.client.address,
  })

  function wasDeleted(what: Deletion): Promise<boolean> {
    const { hosted } = resources
    switch (what.kind) {
      case 'tag':
        return hosted.deleteTag(repository, what.tag)
      case 'manifest':
        return hosted.deleteManifest(repository, what.digest)
      case 'blob':
        return hosted.deleteBlob(repository, what.digest)
    }
  }
}
