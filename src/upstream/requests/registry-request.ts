import type { OnPace } from '../../ports/access/pull-rights.ts'
import type { HttpResponse, RequestKind } from '../http/messages.ts'

/** A request to the registry API of one host. */
export interface RegistryRequest {
  readonly method: 'GET' | 'HEAD'
  readonly kind: RequestKind
  /** The path within `/v2/<name>/`, or the whole URL of the next page of a list. */
  readonly path: string | URL
  readonly accept?: string
  readonly headers?: Readonly<Record<string, string>>
  /** The name of the repository, without the prefix of the upstream. */
  readonly name: string
  readonly signal: AbortSignal
  readonly onPace?: OnPace | undefined
}

/** One registry host, as the functions of this folder see it. */
export interface RegistryHost {
  readonly name: string
  /** Returns any response but 401 and 403, which are thrown as a `Failure`. */
  send(request: RegistryRequest): Promise<HttpResponse>
  /** The URL of a path within `/v2/<name>/`. */
  urlOf(name: string, path: string): URL
}
