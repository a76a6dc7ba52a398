import type { HttpResponse, RequestKind } from '../http/messages.ts'

/** A question to the registry API of one host. */
export interface Question {
  readonly method: 'GET' | 'HEAD'
  readonly kind: RequestKind
  /** Within `/v2/<name>/`, or the whole URL of a next page. */
  readonly path: string | URL
  readonly accept?: string
  readonly headers?: Readonly<Record<string, string>>
  /** The repository's name there, without the upstream's prefix. */
  readonly name: string
  readonly signal: AbortSignal
}

/** One registry host, as far as those need it who ask it something. */
export interface RegistryHost {
  readonly name: string
  /** Any answer but 401 and 403, which are a `Failure`. */
  ask(question: Question): Promise<HttpResponse>
  /** Where something of a repository is. */
  urlOf(name: string, path: string): URL
}
