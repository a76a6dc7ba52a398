import type { OutgoingHttpHeaders } from 'node:http'
import type { Digest } from '../../oci/digest.ts'
import type { How } from '../../ports/answer.ts'
import { cacheStatus, sourceOf, staleWarning } from './cache-status.ts'
import type { Exchange } from './exchange.ts'
import { COMMON } from './respond.ts'

/** What every answer with a manifest or a blob says of it, to the client and to whoever watches. */
export function contentHeaders(exchange: Exchange, digest: Digest, how: How): OutgoingHttpHeaders {
  const status = cacheStatus(how)
  exchange.findings.cacheStatus = status
  exchange.findings.source = sourceOf(how)
  // Assigned, not spread: in V8 a spread that is followed by more makes an object that is slow ever after.
  return Object.assign(
    {
      'Docker-Content-Digest': digest,
      ETag: etagOf(digest),
      'Accept-Ranges': 'bytes',
      'Cache-Status': status,
    },
    COMMON,
    staleWarning(how),
  )
}

export function etagOf(digest: Digest): string {
  return `"${digest}"`
}
