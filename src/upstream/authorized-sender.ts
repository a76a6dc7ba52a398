import { BoundedMap } from '../lib/bounded-map.ts'
import { Failure } from '../ports/failure.ts'
import { basicHeader, type Credential, fingerprint } from './auth/credential.ts'
import { CredentialHashes } from './auth/credential-hashes.ts'
import type { Credentials } from './auth/credentials.ts'
import { checkRealm } from './auth/realm.ts'
import type { TokenRequest, Tokens } from './auth/tokens.ts'
import { type Challenge, chooseChallenge } from './headers/challenge.ts'
import type { HttpRequest, HttpResponse, SendRequest } from './http/messages.ts'
import { failureOfStatus } from './http/status.ts'
import type { RateLimitSubject, RateLimits } from './limits/rate-limits.ts'
import type { AddressScope } from './options/address-scope.ts'

/** A denial is remembered only briefly, because credentials are often corrected while a client retries. */
const REFUSED_MS = 5000
const MOST_REFUSALS = 256

export interface AuthorizedSenderOptions {
  /** `https://host/`. */
  readonly registry: URL
  readonly credentials: Pick<Credentials, 'find' | 'forgetHelperAnswers'>
  readonly tokens: Tokens
  readonly limits: RateLimits
  /** Sends the request for `/v2/` to the registry itself. */
  readonly send: SendRequest
  /** How far inside the network the registry itself may be. */
  readonly registryScopeLimit: AddressScope
  /** How far inside the network token services may be. */
  readonly scopeLimit: () => Promise<AddressScope>
  readonly realms: readonly string[]
  readonly userAgent: string
}

/** What a token is for: to pull from the repository `name`, and for the other `scopes`. */
interface ChallengeTerms {
  readonly name: string
  readonly realm: string
  readonly service: string | undefined
  readonly scopes: readonly string[]
}

/** How a request is authorized; `isNew` says that the token was issued for this request. */
interface Authorization {
  readonly header: string | undefined
  readonly token: string | undefined
  readonly isNew: boolean
}

const NO_AUTHORIZATION: Authorization = { header: undefined, token: undefined, isNew: false }

/** Sends requests to one host with the authorization that the host asks for: Bearer, Basic or none. */
export class AuthorizedSender {
  readonly #options: AuthorizedSenderOptions
  /** The latest challenge of the host; later requests are authorized for it at once. */
  #challenge: Challenge | undefined
  readonly #credentialHashes = new CredentialHashes()
  readonly #refused = new BoundedMap<string, Failure>(MOST_REFUSALS, { ttlMs: REFUSED_MS })

  constructor(options: AuthorizedSenderOptions) {
    this.#options = options
  }

  /**
   * Sends a request for a repository with the authorization that it needs. When the `Failure` of a 401 or 403 is thrown,
   * the host has refused the newest credentials.
   */
  async send(send: SendRequest, request: HttpRequest, name: string): Promise<HttpResponse> {
    const { signal } = request
    const { credentials } = this.#options
    let credential = await credentials.find(name, { signal })
    this.#throwIfRefused(credential, name)
    const { limits } = this.#options
    let subject = await this.#subjectOf(request, credential)
    limits.check(subject)
    let used = await this.#authorize(credential, name, NO_AUTHORIZATION, signal)
    for (let renewed = false; ; renewed = true) {
      const response = await send(withHeader(request, used.header))
      limits.record(subject, response)
      if (response.status !== 401 && response.status !== 403) return response
      const failure = failureOfStatus(response, this.#options.registry.host)
      const isChallenged = await this.#rememberChallenge(response, request)
      // A 401 may have another challenge than the one that the token was issued for; a 403 refuses the token itself.
      const isFinal =
        renewed || (used.isNew && response.status === 403) || (used.header === undefined && !isChallenged)
      if (isFinal) throw this.#refuse(credential, name, failure)
      if (used.header !== undefined) {
        credentials.forgetHelperAnswers()
        credential = await credentials.find(name, { signal })
        subject = await this.#subjectOf(request, credential)
      }
      const next = await this.#authorize(credential, name, used, signal)
      if (next.header === undefined || next.header === used.header) {
        throw this.#refuse(credential, name, failure)
      }
      used = next
    }
  }

  /** Remembers the challenge of an answer; if a 401 has none, `/v2/` is asked for one. */
  async #rememberChallenge(response: HttpResponse, request: HttpRequest): Promise<boolean> {
    let challenge = chooseChallenge(response.headers.all('www-authenticate'))
    if (challenge === undefined && this.#challenge === undefined) {
      const { registry, send, registryScopeLimit, userAgent } = this.#options
      const ping = await send({
        method: 'GET',
        url: new URL('/v2/', registry),
        headers: { 'user-agent': userAgent },
        kind: 'ping',
        scopeLimit: registryScopeLimit,
        signal: request.signal,
        onPace: request.onPace,
      })
      challenge = chooseChallenge(ping.headers.all('www-authenticate'))
      ping.body.dispose()
    }
    if (challenge !== undefined) this.#challenge = challenge
    return this.#challenge !== undefined
  }

  async #authorize(
    credential: Credential | undefined,
    name: string,
    refused: Authorization,
    signal: AbortSignal,
  ): Promise<Authorization> {
    const challenge = this.#challenge
    if (challenge === undefined) return NO_AUTHORIZATION
    if (challenge.scheme === 'basic') {
      if (credential?.kind !== 'basic') return NO_AUTHORIZATION
      const header = basicHeader(credential.username, credential.password)
      return { ...NO_AUTHORIZATION, header }
    }
    const tokenRequest = await this.#tokenRequest(termsOf(challenge, name), credential)
    return this.#unlessDenied(credential, name, async () => {
      const { token, isNew } = await this.#options.tokens.get(tokenRequest, {
        refusedToken: refused.token,
        signal,
      })
      return { header: `Bearer ${token}`, token, isNew }
    })
  }

  async #subjectOf({ kind }: HttpRequest, credential: Credential | undefined): Promise<RateLimitSubject> {
    const { registry } = this.#options
    return { kind, id: await this.#credentialHashes.hash(credential, ['limit', registry.href, kind]) }
  }

  async #unlessDenied<Result>(
    credential: Credential | undefined,
    name: string,
    ask: () => Promise<Result>,
  ): Promise<Result> {
    try {
      return await ask()
    } catch (error) {
      if (error instanceof Failure && error.code === 'denied') throw this.#refuse(credential, name, error)
      throw error
    }
  }

  async #tokenRequest(
    { name, realm: given, service, scopes }: ChallengeTerms,
    credential: Credential | undefined,
  ): Promise<TokenRequest> {
    const { registry, registryScopeLimit, realms } = this.#options
    const scopeLimit = await this.#options.scopeLimit()
    const realm = await checkRealm(given, { registry, scopeLimit, realms })
    const within = realm.host === registry.host ? registryScopeLimit : scopeLimit
    return { realm, scopeLimit: within, service, scopes: [`repository:${name}:pull`, ...scopes], credential }
  }

  #refuse(credential: Credential | undefined, name: string, failure: Failure): Failure {
    this.#refused.set(`${fingerprint(credential)} ${name}`, failure)
    return failure
  }

  #throwIfRefused(credential: Credential | undefined, name: string): void {
    const known = this.#refused.get(`${fingerprint(credential)} ${name}`)
    if (known !== undefined) throw known
  }
}

function withHeader(request: HttpRequest, authorization: string | undefined): HttpRequest {
  if (authorization === undefined) return request
  return { ...request, headers: { ...request.headers, authorization } }
}

function termsOf({ parameters }: Challenge, name: string): ChallengeTerms {
  // A remembered challenge may be for another repository, so only scopes that are not about a repository are added.
  const asked = (parameters.get('scope') ?? '').split(' ')
  const scopes = asked.filter((scope) => scope !== '' && !scope.startsWith('repository:'))
  return { name, realm: parameters.get('realm') ?? '', service: parameters.get('service'), scopes }
}
