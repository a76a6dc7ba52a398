import type { OutgoingHttpHeaders } from 'node:http'
import { errorBody, type OciErrorCode } from '../../oci/errors.ts'
import { Failure, UNLISTED_MESSAGE } from '../../ports/failure.ts'
import { ClientGone, type HttpExchange } from '../exchange/http-exchange.ts'
import { BrokenBody } from '../exchange/request-body.ts'
import { failedCacheStatus } from './cache-status.ts'

/** The headers that every answer has. */
export const COMMON_HEADERS: { readonly [name: string]: string } = {
  'Docker-Distribution-API-Version': 'registry/2.0',
  'X-Content-Type-Options': 'nosniff',
}

/** After how long a client repeats a push that was refused because too many are under way. */
const PUSH_AGAIN_MS = 5000

/** What a request asks for. It decides the error code when that does not exist. */
export type RequestedKind = 'manifest' | 'blob' | 'repository' | 'referrers' | 'upload'

const UNKNOWN_CODES: Readonly<Record<RequestedKind, OciErrorCode>> = {
  manifest: 'MANIFEST_UNKNOWN',
  blob: 'BLOB_UNKNOWN',
  repository: 'NAME_UNKNOWN',
  referrers: 'MANIFEST_UNKNOWN',
  upload: 'BLOB_UPLOAD_UNKNOWN',
}

const STATUS_IF_UNSUPPORTED: Readonly<Record<RequestedKind, number>> = {
  manifest: 404,
  blob: 404,
  repository: 404,
  // A client that looks for signatures would take 404 for "not signed".
  referrers: 502,
  upload: 400,
}

export function respondJson(exchange: HttpExchange, headers: OutgoingHttpHeaders, body: Uint8Array): void {
  exchange.answer(200, jsonHeaders(headers, body.length), body)
}

export function jsonHeaders(headers: OutgoingHttpHeaders, length: number): OutgoingHttpHeaders {
  return { ...COMMON_HEADERS, 'Content-Type': 'application/json', 'Content-Length': length, ...headers }
}

/** An error answer with an OCI error body. */
export interface ErrorAnswer {
  readonly status: number
  readonly code: OciErrorCode
  readonly message: string
  readonly detail?: Readonly<Record<string, unknown>>
  readonly headers?: OutgoingHttpHeaders
}

/** The request is refused for what the client has sent. */
export class RefusedRequest extends Error {
  readonly answer: ErrorAnswer

  constructor(answer: ErrorAnswer) {
    super(answer.message)
    this.name = 'RefusedRequest'
    this.answer = answer
  }
}

export function respondError(
  exchange: HttpExchange,
  { status, code, message, detail, headers }: ErrorAnswer,
): void {
  exchange.facts.error = message
  const body = errorBody(code, message, detail)
  exchange.answer(status, jsonHeaders(headers ?? {}, body.length), body)
}

/** Ends a failed exchange: with an OCI error, or by aborting the answer when its body has begun. */
export function respondFailure(exchange: HttpExchange, error: unknown, requested: RequestedKind): void {
  if (error instanceof ClientGone || exchange.isClientGone) return
  if (exchange.state === 'answering') exchange.abortAnswer()
  if (exchange.state === 'unanswered') {
    respondError(exchange, errorAnswerFor(error, requested, exchange.facts.repository?.registry))
  }
  // The error may name paths and addresses of this network: it goes to the log, but never to the client.
  exchange.facts.error = messageOf(error)
  if (error instanceof Failure) exchange.facts.failedSource = error.details.source
}

/** The answer to a client that may not know whether there is something, and asks the registry itself then. */
export function absentAnswer(requested: RequestedKind, message: string): ErrorAnswer {
  // A client that looks for signatures would take 404 for "not signed".
  if (requested === 'referrers') return { status: 502, code: 'UNAVAILABLE', message }
  return { status: 404, code: UNKNOWN_CODES[requested], message }
}

/**
 * Maps failures to HTTP; no other code does. After most 4xx and 5xx answers clients continue with the next host. The
 * exceptions are never sent: after 408 and 429 clients retry at once, and after 401 and 403 some give up. `registry` is
 * the registry that the client has named.
 */
function errorAnswerFor(error: unknown, requested: RequestedKind, registry: string | undefined): ErrorAnswer {
  if (error instanceof RefusedRequest) return error.answer
  if (error instanceof BrokenBody) return { status: 400, code: 'BLOB_UPLOAD_INVALID', message: error.message }
  if (!(error instanceof Failure)) return { status: 502, code: 'UNAVAILABLE', message: 'internal error' }
  const detail = detailOf(error, registry)
  const hasCacheStatus = requested === 'manifest' || requested === 'blob'
  const headers: OutgoingHttpHeaders = hasCacheStatus ? { 'Cache-Status': failedCacheStatus(error) } : {}
  const message = messageFor(error, registry)
  const common = { message, detail, headers }
  switch (error.code) {
    case 'absent':
      return { ...common, status: 404, code: UNKNOWN_CODES[requested] }
    case 'denied':
    case 'unlisted':
      return { ...common, ...absentAnswer(requested, message) }
    case 'unsupported':
      return { ...common, status: STATUS_IF_UNSUPPORTED[requested], code: 'UNSUPPORTED' }
    case 'corrupt':
      if (requested === 'upload') return { ...common, status: 400, code: 'DIGEST_INVALID' }
      return { ...common, status: 502, code: 'UNAVAILABLE' }
    case 'disk':
      // RFC 4918 section 11.5: 507 says that the server has no room. A pull falls back to the registry after 502.
      return { ...common, status: requested === 'upload' ? 507 : 502, code: 'UNAVAILABLE' }
    case 'busy':
    case 'stopping':
      return {
        ...common,
        status: 503,
        code: 'UNAVAILABLE',
        headers: { ...headers, ...retryAfter(error, requested) },
      }
    case 'too-large':
      return { ...common, status: requested === 'upload' ? 413 : 502, code: 'SIZE_INVALID' }
    case 'unavailable':
    case 'stalled':
      return { ...common, status: 502, code: 'UNAVAILABLE' }
  }
}

/**
 * The message that a client gets. Any process on this node may be a client and may name any host, so the message does
 * not say how a connection failed, or which other host was asked: a client could scan the network that way. It may repeat
 * what the agent says about itself, and the status that the named registry has answered.
 */
function messageFor(failure: Failure, named: string | undefined): string {
  const { code, message } = failure
  const registry = named ?? 'upstream'
  const mayRepeat = isAboutAgent(failure) || isAnswerOf(failure, named)
  switch (code) {
    case 'unlisted':
      return UNLISTED_MESSAGE
    case 'unavailable':
    case 'stalled':
      if (isAnswerOf(failure, named)) return message
      return `${registry} is unavailable; ${SEE_LOG}`
    case 'denied':
      return `the image is private or does not exist: ${registry} wants credentials that the agent does not have${mayRepeat ? ` (${message})` : ''}`
    case 'busy':
      return mayRepeat
        ? message
        : `${registry} is rate limiting or failing, and is not contacted for now; ${SEE_LOG}`
    case 'absent':
      return mayRepeat ? message : `not found in ${registry}`
    case 'corrupt':
      return mayRepeat ? message : `the content received from upstream is not valid; ${SEE_LOG}`
    case 'too-large':
      return mayRepeat ? message : `the content is larger than the agent accepts; ${SEE_LOG}`
    case 'unsupported':
      return mayRepeat ? message : `${registry} has it only in a format that the agent does not support`
    case 'stopping':
    case 'disk':
      return message
  }
}

const SEE_LOG = 'see the agent log or run `agent why`'

function isAboutAgent({ details }: Failure): boolean {
  return details.source === undefined
}

/** Whether the failure says no more than the status that the named registry has answered. */
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

function retryAfter({ details: { retryAfterMs } }: Failure, requested: RequestedKind): OutgoingHttpHeaders {
  // A push has nowhere else to go, so its client is told to repeat it.
  const ms = retryAfterMs ?? (requested === 'upload' ? PUSH_AGAIN_MS : undefined)
  return ms === undefined ? {} : { 'Retry-After': Math.max(1, Math.ceil(ms / 1000)) }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
