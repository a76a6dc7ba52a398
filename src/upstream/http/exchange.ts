import type { Intake } from '../../ports/source.ts'
import type { AddressScope } from '../options/address-scope.ts'

export type Kind = 'manifest' | 'blob' | 'tags' | 'referrers' | 'token' | 'ping'

export interface Request {
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** Of a POST. */
  readonly form?: string
  /** What it is for; shown in metrics. */
  readonly kind: Kind
  /** How far inside the network the host's address may lie. */
  readonly scopeLimit: AddressScope
  /** Ends the whole exchange, the body included. */
  readonly signal: AbortSignal
}

export interface Reply {
  readonly status: number
  readonly headers: ReplyHeaders
  /** To be poured or disposed of; after either, disposing of it does nothing. */
  readonly body: ReplyBody
}

export interface ReplyBody {
  /** As declared by Content-Length. */
  readonly length: number | undefined
  /**
   * Gives all of it but the first `skip` bytes to the intake. Throws a `Failure` when it ends before the declared
   * length, or when it is longer than `limit`.
   */
  pour(intake: Intake, options: { skip: number; limit: number }): Promise<void>
  /** Nobody wants it: frees the connection. */
  dispose(): void
}

/**
 * One HTTP request and its answer, whatever the status; redirects and credentials are the caller's. Throws a `Failure`
 * when there is no answer in time, and the signal's reason when that has ended it.
 */
export type Exchange = (request: Request) => Promise<Reply>

export class ReplyHeaders {
  readonly #values = new Map<string, string[]>()

  constructor(pairs: Iterable<readonly [string, string]>) {
    for (const [name, value] of pairs) {
      const key = name.toLowerCase()
      const known = this.#values.get(key)
      if (known === undefined) this.#values.set(key, [value])
      else known.push(value)
    }
  }

  /** The header's value; the first where there are several. */
  get(name: string): string | undefined {
    return this.#values.get(name)?.[0]
  }

  all(name: string): readonly string[] {
    return this.#values.get(name) ?? []
  }
}
