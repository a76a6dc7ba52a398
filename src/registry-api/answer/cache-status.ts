import type { Events } from '../../observe/events.ts'
import type { Failure } from '../../ports/failure.ts'
import type { CacheResult } from '../../ports/resolver.ts'

/** The value of `Cache-Status` (RFC 9211). */
export function cacheStatus(cacheResult: CacheResult): string {
  switch (cacheResult.kind) {
    case 'hit':
      return 'leat; hit'
    case 'source':
      return 'leat; hit; detail=local-source'
    case 'miss':
      return `leat; fwd=uri-miss; detail=${cacheResult.from}${cacheResult.collapsed ? '; collapsed' : ''}`
    case 'revalidated':
      return 'leat; fwd=stale; detail=revalidated'
    case 'stale-if-error':
      return 'leat; hit; detail=stale-if-error'
  }
}

/** The value of `Cache-Status` for an error answer. */
export function failedCacheStatus(failure: Failure): string {
  return `leat; fwd=uri-miss; detail=${failure.code}`
}

/** `Warning` (RFC 7234 section 5.5) is obsolete, but clients still read it. */
export function staleWarning(cacheResult: CacheResult): { Warning?: string } {
  return cacheResult.kind === 'stale-if-error'
    ? { Warning: '110 leat "Response is Stale", 111 leat "Revalidation Failed"' }
    : {}
}

export function sourceOf(cacheResult: CacheResult): Events['request.ended']['source'] {
  if (cacheResult.kind !== 'miss') return 'local'
  return cacheResult.collapsed ? 'inflight' : cacheResult.from
}
