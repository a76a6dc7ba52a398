import type { HttpHeaders } from '../../lib/http1/headers.ts'
import type { OnPace } from '../../ports/access/pull-rights.ts'
import type { Intake } from '../../ports/source.ts'
import type { AddressScope } from '../options/address-scope.ts'

export type RequestKind = 'manifest' | 'blob' | 'tags' | 'referrers' | 'token' | 'ping'

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** The body of a POST. */
  readonly form?: string
  /** The kind of the request, which is a label of metrics. */
  readonly kind: RequestKind
  /** How far inside the network the host's address may be. */
  readonly scopeLimit: AddressScope
  /** Aborts the request and the reading of its response. */
  readonly signal: AbortSignal
  readonly onPace?: OnPace | undefined
}

export interface HttpResponse {
  readonly status: number
  readonly headers: HttpHeaders
  /** The caller reads it with `readInto` or calls `dispose`; a later `dispose` does nothing. */
  readonly body: HttpResponseBody
}

export interface HttpResponseBody {
  /** The length that Content-Length declares. */
  readonly length: number | undefined
  /**
   * Reads the body, without its first `skip` bytes, into the intake. Throws a `Failure` when the body ends before the
   * declared length, or is longer than `limit`.
   */
  readInto(intake: Intake, options: { skip: number; limit: number }): Promise<void>
  /** Frees the connection without reading the body. */
  dispose(): void
}

/**
 * Sends one HTTP request and returns its answer, whatever the status; the caller handles redirects and credentials. Throws
 * a `Failure` when there is no answer in time, and the signal's reason when the signal is aborted.
 */
export type SendRequest = (request: HttpRequest) => Promise<HttpResponse>
