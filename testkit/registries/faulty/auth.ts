import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { sendError, sendJson } from './answers.ts'

export interface BearerRules {
  /** How many requests one token is good for; default: any number. */
  readonly uses?: number
  /** Tokens that are good although this registry has not issued them. */
  readonly accepts?: readonly string[]
  /** Sent as `expires_in`; not sent when undefined. */
  readonly expiresIn?: number
  readonly field?: 'token' | 'access_token'
  readonly service?: string
  /** Basic credentials that the token endpoint wants. */
  readonly basic?: { readonly username: string; readonly password: string }
  /** Tokens are only issued for POST with this refresh token. */
  readonly refreshToken?: string
  /** The whole challenges, in place of the usual one; `{realm}` is replaced. */
  readonly challenges?: readonly string[]
  /** The status that a request without permission gets; default 401. */
  readonly refusal?: number
}

type Scheme =
  | { readonly kind: 'bearer'; readonly rules: BearerRules }
  | { readonly kind: 'basic'; readonly expected: string }

/** Which requests are permitted, and the tokens that were issued. */
export class RegistryAuth {
  readonly #requestsLeft = new Map<string, number>()
  #scheme: Scheme | undefined
  #tokensIssued = 0

  get tokensIssued(): number {
    return this.#tokensIssued
  }

  requireBearer(rules: BearerRules): void {
    this.#requestsLeft.clear()
    this.#scheme = { kind: 'bearer', rules }
  }

  requireBasic(username: string, password: string): void {
    this.#scheme = { kind: 'basic', expected: basicHeader({ username, password }) }
  }

  requireNothing(): void {
    this.#scheme = undefined
  }

  permits({ headers }: IncomingMessage): boolean {
    if (this.#scheme === undefined) return true
    const given = headers.authorization
    if (this.#scheme.kind === 'basic') return given === this.#scheme.expected
    const token = given?.startsWith('Bearer ') === true ? given.slice(7) : ''
    if (this.#scheme.rules.accepts?.includes(token) === true) return true
    const left = this.#requestsLeft.get(token) ?? 0
    if (left <= 0) return false
    this.#requestsLeft.set(token, left - 1)
    return true
  }

  /** Answers a request without permission. */
  challenge(response: ServerResponse, url: string): void {
    if (this.#scheme?.kind === 'basic') {
      response.setHeader('www-authenticate', 'Basic realm="registry"')
      sendError(response, 401, 'UNAUTHORIZED')
      return
    }
    const rules = this.#bearerRules
    const realm = `${url}/token`
    const usual = `Bearer realm="${realm}",service="${rules.service ?? 'registry'}",scope="repository:from-challenge:pull"`
    const all = rules.challenges?.map((text) => text.replace('{realm}', realm)) ?? [usual]
    if (all.length > 0) response.setHeader('www-authenticate', [...all])
    sendError(response, rules.refusal ?? 401, rules.refusal === 403 ? 'DENIED' : 'UNAUTHORIZED')
  }

  /** Answers a request to the token endpoint. */
  issueToken({ headers }: IncomingMessage, response: ServerResponse, body: string): void {
    const { basic, refreshToken, uses, field = 'token', expiresIn } = this.#bearerRules
    const hasLogin = basic === undefined || headers.authorization === basicHeader(basic)
    const hasRefreshToken =
      refreshToken === undefined || new URLSearchParams(body).get('refresh_token') === refreshToken
    if (!hasLogin || !hasRefreshToken) {
      sendError(response, 401, 'UNAUTHORIZED')
      return
    }
    this.#tokensIssued += 1
    const token = `token-${this.#tokensIssued}-${randomBytes(6).toString('hex')}`
    this.#requestsLeft.set(token, uses ?? Number.POSITIVE_INFINITY)
    sendJson(response, 200, {
      [field]: token,
      ...(expiresIn === undefined ? {} : { expires_in: expiresIn }),
      issued_at: new Date().toISOString(),
    })
  }

  get #bearerRules(): BearerRules {
    return this.#scheme?.kind === 'bearer' ? this.#scheme.rules : {}
  }
}

function basicHeader({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}
