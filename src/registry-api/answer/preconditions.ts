import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { CacheResult, Resolver } from '../../ports/resolver.ts'
import type { HttpExchange } from '../exchange/http-exchange.ts'
import { contentHeaders } from './content-headers.ts'
import { respondError } from './respond.ts'

/** Evaluates If-Match (RFC 9110 section 13.1.1). The comparison is strong, so a weak entity tag never matches. */
export function ifMatchHolds(ifMatch: string | undefined, etag: string): boolean {
  if (ifMatch === undefined || ifMatch.trim() === '*') return true
  return ifMatch.split(',').some((tag) => tag.trim() === etag)
}

/** Evaluates If-None-Match (RFC 9110 section 13.1.2). The comparison is weak. */
export function isNotModified(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false
  if (ifNoneMatch.trim() === '*') return true
  return ifNoneMatch.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag)
}

export function respondPreconditionFailed(
  exchange: HttpExchange,
  digest: Digest,
  cacheResult: CacheResult,
): void {
  const { ETag, 'Cache-Status': status } = contentHeaders(exchange, digest, cacheResult)
  respondError(exchange, {
    status: 412,
    code: 'UNSUPPORTED',
    message: `precondition failed: If-Match does not include the ETag "${digest}"`,
    headers: { ETag, 'Cache-Status': status },
  })
}

/**
 * Answers a request for a manifest by a digest that If-Match does not include. The manifest is not fetched for that, but
 * upstream is asked about it: a manifest that does not exist is 404, whatever the condition (RFC 9110 section 13.2.1).
 */
export async function respondUnmatchedManifest(
  exchange: HttpExchange,
  repository: Repository,
  digest: Digest,
  resolver: Resolver,
): Promise<void> {
  const { cacheResult } = await resolver.manifestHead(repository, digest, exchange)
  respondPreconditionFailed(exchange, digest, cacheResult)
}
