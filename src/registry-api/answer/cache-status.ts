import type { Events } from '../../observe/events.ts'
import type { How } from '../../ports/answer.ts'
import type { Failure } from '../../ports/failure.ts'

/** The value of `Cache-Status` (RFC 9211). */
export function cacheStatus(how: How): string {
  switch (how.kind) {
    case 'hit':
      return 'leat; hit'
    case 'miss':
      return `leat; fwd=uri-miss; detail=${how.from}${how.collapsed ? '; collapsed' : ''}`
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
export function staleWarning(how: How): { Warning?: string } {
  return how.kind === 'stale-if-error'
    ? { Warning: '110 leat "Response is Stale", 111 leat "Revalidation Failed"' }
    : {}
}

export function sourceOf(how: How): Events['request.ended']['source'] {
  if (how.kind !== 'miss') return 'local'
  return how.collapsed ? 'inflight' : how.from
}
