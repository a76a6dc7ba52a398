import { pause, unlessAborted } from '../../lib/async/abort.ts'
import { backoffMs } from '../../lib/async/backoff.ts'
import { SharedWork } from '../../lib/async/shared-work.ts'
import { BoundedMap } from '../../lib/bounded-map.ts'
import { Failure } from '../../ports/failure.ts'
import { tooLate } from '../http/http-failure.ts'
import type { HttpRequest, HttpResponse, SendRequest } from '../http/messages.ts'
import { readWhole } from '../http/read-whole.ts'
import { failureOfStatus } from '../http/status.ts'
import type { AddressScope } from '../options/address-scope.ts'
import { basicHeader, type Credential, fingerprint } from './credential.ts'
import { parseToken, refreshForm, type Token, tokenUrl } from './token.ts'

const MOST_TRIES = 3
/** Tokens take a few KiB; a longer response is not one of a token service. */
const RESPONSE_LIMIT = 256 * 1024
const MOST_TOKENS = 512
/** The `retryAfterMs` of the failure after the last try. */
const RETRY_AFTER_MS = 2000
/** With these answers the token service does not exchange identity tokens and is asked with GET. */
const NO_EXCHANGE: ReadonlySet<number> = new Set([400, 401, 404, 405])

/** What a token is requested for, where and with which credential. */
export interface TokenRequest {
  readonly realm: URL
  readonly scopeLimit: AddressScope
  readonly service: string | undefined
  readonly scopes: readonly string[]
  readonly credential: Credential | undefined
}

interface CachedToken {
  readonly token: string
  readonly refreshAt: number
  readonly expiresAt: number
}

function keyOf({ realm, service, scopes, credential }: TokenRequest): string {
  return JSON.stringify([realm.href, service, [...scopes].sort(), fingerprint(credential)])
}

/** Bearer tokens of one host, cached until shortly before they expire; one request at a time for the same token. */
export class Tokens {
  readonly #send: SendRequest
  readonly #userAgent: string
  readonly #deadlineMs: number
  readonly #backoffMs: number
  readonly #stopping: AbortSignal
  readonly #cached = new BoundedMap<string, CachedToken>(MOST_TOKENS)
  readonly #fetching = new SharedWork<CachedToken>()

  constructor(options: {
    send: SendRequest
    userAgent: string
    deadlineMs: number
    backoffMs: number
    signal: AbortSignal
  }) {
    this.#send = options.send
    this.#userAgent = options.userAgent
    this.#deadlineMs = options.deadlineMs
    this.#backoffMs = options.backoffMs
    this.#stopping = options.signal
  }

  /**
   * Returns a cached or new token, but not `refusedToken`, which upstream has refused. `isNew` says whether the token
   * service issued the token after this call.
   */
  async get(
    request: TokenRequest,
    { refusedToken, signal }: { refusedToken?: string | undefined; signal: AbortSignal },
  ): Promise<{ token: string; isNew: boolean }> {
    const key = keyOf(request)
    const cached = this.#validToken(key)
    if (cached !== undefined && cached.token !== refusedToken) return { token: cached.token, isNew: false }
    const fetched = this.#fetching.run(key, () => this.#fetch(key, request)).promise
    const { token } = await unlessAborted(fetched, signal)
    return { token, isNew: true }
  }

  #validToken(key: string): CachedToken | undefined {
    const cached = this.#cached.get(key)
    return cached !== undefined && cached.refreshAt > performance.now() ? cached : undefined
  }

  /** The request has a signal of its own, because several callers may wait for its token. */
  async #fetch(key: string, request: TokenRequest): Promise<CachedToken> {
    const deadline = AbortSignal.timeout(this.#deadlineMs)
    const signal = AbortSignal.any([deadline, this.#stopping])
    try {
      for (let tries = 1; ; tries += 1) {
        try {
          return this.#cache(key, await this.#requestToken(request, signal))
        } catch (error) {
          signal.throwIfAborted()
          if (!(error instanceof Failure) || error.code !== 'unavailable') throw error
          if (tries === MOST_TRIES) {
            throw new Failure('unavailable', error.message, {
              ...error.details,
              retryAfterMs: RETRY_AFTER_MS,
              cause: error,
            })
          }
          await pause(backoffMs(tries, { firstMs: this.#backoffMs, jitter: 1 }), { signal })
        }
      }
    } catch (error) {
      if (this.#stopping.aborted) throw new Failure('stopping', 'the agent is stopping')
      if (deadline.aborted) throw tooLate(request.realm, 'no token', this.#deadlineMs)
      throw error
    }
  }

  #cache(key: string, { token, lifetimeMs }: Token): CachedToken {
    const expiresAt = performance.now() + lifetimeMs
    // A token is refreshed early, so that it does not expire on its way to upstream.
    const cached = { token, refreshAt: expiresAt - Math.min(lifetimeMs / 4, 30_000), expiresAt }
    this.#cached.set(key, cached)
    return cached
  }

  async #requestToken(request: TokenRequest, signal: AbortSignal): Promise<Token> {
    const { credential, realm, service, scopes, scopeLimit } = request
    const common = { kind: 'token', scopeLimit, signal } as const
    const headers = { 'user-agent': this.#userAgent, accept: 'application/json' }
    if (credential?.kind === 'identity') {
      const form = refreshForm(credential.token, service, scopes)
      const response = await this.#send({ ...common, method: 'POST', url: realm, headers, form })
      if (!NO_EXCHANGE.has(response.status)) return this.#readToken(response, realm)
      response.body.dispose()
    }
    const secret = credential?.kind === 'identity' ? credential.token : credential?.password
    const authorization = secret === undefined ? undefined : basicHeader(credential?.username ?? '', secret)
    const httpRequest: HttpRequest = {
      ...common,
      method: 'GET',
      url: tokenUrl(realm, service, scopes),
      headers: authorization === undefined ? headers : { ...headers, authorization },
    }
    return this.#readToken(await this.#send(httpRequest), realm)
  }

  async #readToken(response: HttpResponse, realm: URL): Promise<Token> {
    const source = realm.host
    if (response.status === 400) {
      response.body.dispose()
      throw new Failure('denied', `${source} refuses to issue a token (status 400)`, { source, status: 400 })
    }
    if (response.status !== 200) {
      const failure = failureOfStatus(response, source)
      // A missing token service says nothing about whether the image exists.
      if (failure.code !== 'absent') throw failure
      throw new Failure(
        'denied',
        `${source} does not issue tokens (status ${response.status})`,
        failure.details,
      )
    }
    const date = Date.parse(response.headers.get('date') ?? '')
    const text = (await readWhole(response.body, RESPONSE_LIMIT)).toString()
    const token = parseToken(text, Number.isNaN(date) ? Date.now() : date)
    if (token === undefined)
      throw new Failure('unavailable', `${source} sent a response without a token`, { source })
    return token
  }
}
