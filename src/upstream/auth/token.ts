import * as v from 'valibot'

/** A bearer token and how long it is valid from now. */
export interface Token {
  readonly token: string
  readonly lifetimeMs: number
}

/** The least and the default lifetime of a token, as in the token specification of Docker. */
const SHORTEST_LIFETIME_S = 60
const LONGEST_LIFETIME_S = 24 * 60 * 60

/** The characters that may follow `Bearer` in a header; wider than RFC 6750, 2.1. */
const TokenText = v.pipe(v.string(), v.regex(/^[\x21-\x7e]{1,32768}$/))
const TokenResponse = v.object({
  token: v.optional(v.union([TokenText, v.literal('')])),
  access_token: v.optional(v.union([TokenText, v.literal('')])),
  expires_in: v.optional(v.nullable(v.number())),
  issued_at: v.optional(v.nullable(v.string())),
})

/**
 * Parses the answer of a token service. `serverTime` is the service's own clock from its `Date` header, because this node's
 * clock may differ.
 */
export function parseToken(text: string, serverTime: number): Token | undefined {
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), TokenResponse), text)
  if (!parsed.success) return undefined
  const { token, access_token, expires_in, issued_at } = parsed.output
  const bearer = token || access_token
  if (bearer === undefined || bearer === '') return undefined
  const seconds = Math.min(
    Math.max(expires_in ?? SHORTEST_LIFETIME_S, SHORTEST_LIFETIME_S),
    LONGEST_LIFETIME_S,
  )
  const issuedAt = Date.parse(issued_at ?? '')
  const ageMs = Number.isNaN(issuedAt) ? 0 : Math.max(0, serverTime - issuedAt)
  return { token: bearer, lifetimeMs: seconds * 1000 - ageMs }
}

/** Makes the URL to GET a token from. The required scope comes first. */
export function tokenUrl(realm: URL, service: string | undefined, scopes: readonly string[]): URL {
  const url = new URL(realm)
  if (service !== undefined) url.searchParams.set('service', service)
  for (const scope of scopes) url.searchParams.append('scope', scope)
  return url
}

/** Makes the form that exchanges an identity token (OAuth 2, RFC 6749, 6). */
export function refreshForm(
  identity: string,
  service: string | undefined,
  scopes: readonly string[],
): string {
  return new URLSearchParams({
    grant_type: 'refresh_token',
    refresh_token: identity,
    client_id: 'leat',
    ...(service === undefined ? {} : { service }),
    scope: scopes.join(' '),
  }).toString()
}
