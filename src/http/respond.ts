import type { OutgoingHttpHeaders } from 'node:http'
import { type ErrorCode, errorBody } from '../oci/errors.ts'
import { Failure } from '../resolve/failure.ts'
import { failedCacheStatus } from './cache-status.ts'
import { ClientGone, type Exchange } from './exchange.ts'

/** On every answer. */
export const COMMON: { readonly [name: string]: string } = {
  'Docker-Distribution-API-Version': 'registry/2.0',
  'X-Content-Type-Options': 'nosniff',
}

/** What was asked for decides how its absence is called. */
export type Asked = 'manifest' | 'blob' | 'repository' | 'referrers'

const ABSENT: Readonly<Record<Asked, ErrorCode>> = {
  manifest: 'MANIFEST_UNKNOWN',
  blob: 'BLOB_UNKNOWN',
  repository: 'NAME_UNKNOWN',
  referrers: 'MANIFEST_UNKNOWN',
}

export function respondJson(exchange: Exchange, headers: OutgoingHttpHeaders, body: Uint8Array): void {
  exchange.answer(200, jsonHeaders(headers, body.length), body)
}

export function jsonHeaders(headers: OutgoingHttpHeaders, length: number): OutgoingHttpHeaders {
  return { ...COMMON, 'Content-Type': 'application/json', 'Content-Length': length, ...headers }
}

export interface Refusal {
  readonly status: number
  readonly code: ErrorCode
  readonly message: string
  readonly detail?: Readonly<Record<string, unknown>>
  readonly headers?: OutgoingHttpHeaders
}

export function refuse(exchange: Exchange, { status, code, message, detail, headers }: Refusal): void {
  exchange.findings.error = message
  const body = errorBody(code, message, detail)
  exchange.answer(status, jsonHeaders(headers ?? {}, body.length), body)
}

/** Ends an exchange that failed: with an OCI error, or by cutting it short when its body has begun. */
export function fail(exchange: Exchange, error: unknown, asked: Asked): void {
  if (error instanceof ClientGone || exchange.isGone) return
  if (exchange.state === 'answering') exchange.cutShort()
  if (exchange.state === 'unanswered') refuse(exchange, refusalOf(error, asked))
  // What a stranger's error says may be about paths and addresses of this machine: watchers learn it, clients do not.
  exchange.findings.error = sentence(error)
}

/**
 * The one place where failures become HTTP. Clients go on to the next host on any 4xx and 5xx, except that 408 and 429
 * make them ask again at once, and 401 and 403 make some give up: those are never sent.
 */
function refusalOf(error: unknown, asked: Asked): Refusal {
  if (!(error instanceof Failure)) return { status: 502, code: 'UNAVAILABLE', message: 'the agent failed' }
  const detail = detailOf(error)
  const cached = asked === 'manifest' || asked === 'blob'
  const headers: OutgoingHttpHeaders = cached ? { 'Cache-Status': failedCacheStatus(error) } : {}
  const refusal = { message: error.message, detail, headers }
  switch (error.code) {
    case 'absent':
      return { ...refusal, status: 404, code: ABSENT[asked] }
    case 'denied': {
      const message = `upstream refused the credentials that this agent has: ${error.message}`
      // Not found would be taken for "nothing is signed" by who looks for signatures.
      if (asked === 'referrers') return { ...refusal, message, status: 502, code: 'UNAVAILABLE' }
      return { ...refusal, message, status: 404, code: ABSENT[asked] }
    }
    case 'unsupported':
      return { ...refusal, status: asked === 'referrers' ? 502 : 404, code: 'UNSUPPORTED' }
    case 'busy':
    case 'stopping':
      return { ...refusal, status: 503, code: 'UNAVAILABLE', headers: { ...headers, ...retryAfter(error) } }
    case 'too-large':
      return { ...refusal, status: 502, code: 'SIZE_INVALID' }
    case 'unavailable':
    case 'stalled':
    case 'corrupt':
    case 'disk':
      return { ...refusal, status: 502, code: 'UNAVAILABLE' }
  }
}

function detailOf(failure: Failure): Record<string, unknown> {
  const { source, expected, found, status } = failure.details
  return { reason: failure.code, source, expected, found, upstreamStatus: status }
}

function retryAfter({ details: { retryAfterMs } }: Failure): OutgoingHttpHeaders {
  return retryAfterMs === undefined ? {} : { 'Retry-After': Math.max(1, Math.ceil(retryAfterMs / 1000)) }
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
