import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { How, Resolver } from '../../ports/answer.ts'
import { contentHeaders } from './content-headers.ts'
import type { Exchange } from './exchange.ts'
import { refuse } from './respond.ts'

/**
 * Whether If-Match names the content (RFC 9110 section 13.1.1). Tags are compared strongly, so a weak one never matches;
 * without the header there is no condition.
 */
export function isMatched(ifMatch: string | undefined, etag: string): boolean {
  if (ifMatch === undefined || ifMatch.trim() === '*') return true
  return ifMatch.split(',').some((tag) => tag.trim() === etag)
}

/** The content is there, but If-Match does not name it. */
export function refuseUnmatched(exchange: Exchange, digest: Digest, how: How): void {
  const { ETag, 'Cache-Status': status } = contentHeaders(exchange, digest, how)
  refuse(exchange, {
    status: 412,
    code: 'UNSUPPORTED',
    message: `If-Match does not name ${digest}, which is what is here`,
    headers: { ETag, 'Cache-Status': status },
  })
}

/**
 * For a manifest that is asked for by a digest that If-Match does not name: it need not be fetched to say so. What is
 * not there is unknown nevertheless, whatever the condition (RFC 9110 section 13.2.1).
 */
export async function respondUnmatched(
  exchange: Exchange,
  repository: Repository,
  digest: Digest,
  resolver: Resolver,
): Promise<void> {
  const { how } = await resolver.manifestHead(repository, digest, exchange)
  refuseUnmatched(exchange, digest, how)
}
