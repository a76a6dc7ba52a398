import type { Digest } from '../../oci/digest.ts'
import { OCTET_STREAM } from '../../oci/media-types.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { haveEnds } from '../../oci/range.ts'
import type { Content } from '../../ports/content.ts'
import type { CacheResult, Resolver } from '../../ports/resolver.ts'
import { type BodyResources, sendSelection } from '../answer/body.ts'
import { cacheStatus } from '../answer/cache-status.ts'
import { contentHeaders, etagOf } from '../answer/content-headers.ts'
import { ifMatchHolds, isNotModified, respondPreconditionFailed } from '../answer/preconditions.ts'
import { respondError } from '../answer/respond.ts'
import { type Selection, select } from '../answer/selection.ts'
import type { HttpExchange } from '../exchange/http-exchange.ts'

const NO_BODY = Buffer.alloc(0)

export interface BlobResources extends BodyResources {
  readonly resolver: Resolver
}

export async function respondBlob(
  exchange: HttpExchange,
  repository: Repository,
  digest: Digest,
  resources: BlobResources,
): Promise<void> {
  const { signal } = exchange
  // HEAD, 304 and 412 depend on the digest alone, so the content is neither opened nor fetched for them.
  if (exchange.method === 'HEAD' || !needsContent(exchange, digest)) {
    const { size, cacheResult } = await resources.resolver.blobHead(repository, digest, { signal })
    return respondHead(exchange, digest, size, cacheResult)
  }
  const isForParts = haveEnds(exchange.headers.range)
  const { content, cacheResult } = await resources.resolver.blob(repository, digest, { signal, isForParts })
  try {
    await respondContent(exchange, content, cacheResult, resources)
  } finally {
    await content.close()
  }
}

function needsContent({ headers }: HttpExchange, digest: Digest): boolean {
  const etag = etagOf(digest)
  return ifMatchHolds(headers['if-match'], etag) && !isNotModified(headers['if-none-match'], etag)
}

function respondHead(exchange: HttpExchange, digest: Digest, size: number, cacheResult: CacheResult): void {
  const selection = selectFrom(exchange, digest, size)
  if (selection.status === 412) {
    respondPreconditionFailed(exchange, digest, cacheResult)
    return
  }
  const headers = contentHeaders(exchange, digest, cacheResult)
  if (selection.status !== 304) Object.assign(headers, selection.headers)
  exchange.answer(selection.status, headers, NO_BODY)
}

async function respondContent(
  exchange: HttpExchange,
  content: Content,
  cacheResult: CacheResult,
  resources: BlobResources,
): Promise<void> {
  const { digest, size } = content
  const selection = selectFrom(exchange, digest, size)
  if (selection.status === 412) return respondPreconditionFailed(exchange, digest, cacheResult)
  const headers = contentHeaders(exchange, digest, cacheResult)
  if (selection.status === 304) return exchange.answer(304, headers, NO_BODY)
  if (selection.status === 416) {
    return respondError(exchange, {
      status: 416,
      code: 'RANGE_INVALID',
      message: `range not satisfiable: the blob has ${size} bytes`,
      headers: { 'Cache-Status': cacheStatus(cacheResult), ...selection.headers },
    })
  }
  const { status, parts } = selection
  Object.assign(headers, selection.headers)
  if (size === 0) return exchange.answer(status, headers, NO_BODY)
  content.willRead?.(parts.flatMap(({ range }) => range ?? []))
  await sendSelection(exchange, content, { status, headers, parts }, resources)
}

function selectFrom(exchange: HttpExchange, digest: Digest, size: number): Selection {
  const representation = { size, contentType: OCTET_STREAM, etag: etagOf(digest) }
  return select(exchange.method, exchange.headers, representation)
}
