import type { OutgoingHttpHeaders } from 'node:http'
import { type ErrorCode, errorBody } from '../../oci/errors.ts'
import { Failure, UNLISTED } from '../../ports/failure.ts'
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
  if (exchange.state === 'unanswered') {
    refuse(exchange, refusalOf(error, asked, exchange.findings.repository?.registry))
  }
  // What an error says may be about paths and addresses of this machine and its network: only watchers learn it.
  exchange.findings.error = sentence(error)
}

/**
 * The one place where failures become HTTP. Clients go on to the next host on any 4xx and 5xx, except that 408 and 429
 * make them ask again at once, and 401 and 403 make some give up: those are never sent. `registry` is the one that the
 * client has named.
 */
function refusalOf(error: unknown, asked: Asked, registry: string | undefined): Refusal {
  if (!(error instanceof Failure)) return { status: 502, code: 'UNAVAILABLE', message: 'the agent failed' }
  const detail = detailOf(error, registry)
  const cached = asked === 'manifest' || asked === 'blob'
  const headers: OutgoingHttpHeaders = cached ? { 'Cache-Status': failedCacheStatus(error) } : {}
  const message = messageFor(error, registry)
  const refusal = { message, detail, headers }
  switch (error.code) {
    case 'absent':
      return { ...refusal, status: 404, code: ABSENT[asked] }
    case 'denied':
    case 'unlisted':
      // Not found would be taken for "nothing is signed" by who looks for signatures.
      if (asked === 'referrers') return { ...refusal, status: 502, code: 'UNAVAILABLE' }
      return { ...refusal, status: 404, code: ABSENT[asked] }
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

/**
 * What a client is told. It may be anybody on this node, and may name any host, so it does not learn how a connection
 * failed, nor any other host that was asked: it could find out what listens where. What the agent says of itself, and
 * what the registry that the client has named has answered, may be repeated.
 */
function messageFor(failure: Failure, named: string | undefined): string {
  const { code, message } = failure
  const registry = named ?? 'upstream'
  const mayRepeat = isOwnWord(failure) || isAnswerOf(failure, named)
  switch (code) {
    case 'unlisted':
      return UNLISTED
    case 'unavailable':
    case 'stalled':
      if (isAnswerOf(failure, named)) return message
      return `${registry} gives no usable answer just now; ${LOOK}`
    case 'denied':
      return `upstream refused the credentials that this agent has${mayRepeat ? `: ${message}` : ''}`
    case 'busy':
      return mayRepeat ? message : `${registry} is left alone for now; ${LOOK}`
    case 'absent':
      return mayRepeat ? message : `${registry} does not have it`
    case 'corrupt':
      return mayRepeat ? message : `what came was not what was asked for; ${LOOK}`
    case 'too-large':
      return mayRepeat ? message : `it is larger than this agent takes; ${LOOK}`
    case 'unsupported':
      return mayRepeat ? message : `${registry} has it only in a form that this agent does not serve`
    case 'stopping':
    case 'disk':
      return message
  }
}

const LOOK = "the agent's log and `agent why` say why"

function isOwnWord({ details }: Failure): boolean {
  return details.source === undefined
}

/** Whether it says no more than the status that the named registry has answered. */
function isAnswerOf({ details }: Failure, named: string | undefined): boolean {
  return details.status !== undefined && details.source !== undefined && details.source === named
}

function detailOf(failure: Failure, named: string | undefined): Record<string, unknown> {
  const { code: reason, details } = failure
  if (reason === 'unlisted') return { reason }
  const source = details.source === named ? named : undefined
  if (reason === 'unavailable' || reason === 'stalled') {
    return { reason, source, upstreamStatus: details.status }
  }
  const { expected, found, status } = details
  return { reason, source, expected, found, upstreamStatus: status }
}

function retryAfter({ details: { retryAfterMs } }: Failure): OutgoingHttpHeaders {
  return retryAfterMs === undefined ? {} : { 'Retry-After': Math.max(1, Math.ceil(retryAfterMs / 1000)) }
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
