import type { Kind } from './exchange.ts'

/** A question to the registry API of one host. */
export interface Question {
  readonly method: 'GET' | 'HEAD'
  readonly kind: Kind
  /** Within `/v2/<name>/`, or the whole URL of a next page. */
  readonly path: string | URL
  readonly accept?: string
  readonly headers?: Readonly<Record<string, string>>
  /** The repository's name there, without the upstream's prefix. */
  readonly name: string
  readonly signal: AbortSignal
}
