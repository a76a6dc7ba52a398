import type { OutgoingHttpHeaders } from 'node:http'
import type { Digest } from '../../oci/digest.ts'
import type { CacheResult } from '../../ports/resolver.ts'
import type { HttpExchange } from '../exchange/http-exchange.ts'
import { cacheStatus, sourceOf, staleWarning } from './cache-status.ts'
import { COMMON_HEADERS } from './respond.ts'

/** The headers of every answer with a manifest or blob. Also records in `exchange.facts` where the content came from. */
export function contentHeaders(
  exchange: HttpExchange,
  digest: Digest,
  cacheResult: CacheResult,
): OutgoingHttpHeaders {
  const status = cacheStatus(cacheResult)
  exchange.facts.cacheStatus = status
  exchange.facts.source = sourceOf(cacheResult)
  // `Object.assign`, not a spread: in V8 an object literal with properties after a spread stays slow for good.
  return Object.assign(
    {
      'Docker-Content-Digest': digest,
      ETag: etagOf(digest),
      'Accept-Ranges': 'bytes',
      'Cache-Status': status,
    },
    COMMON_HEADERS,
    staleWarning(cacheResult),
  )
}

export function etagOf(digest: Digest): string {
  return `"${digest}"`
}
