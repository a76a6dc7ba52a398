import type { Action } from '../../ports/access.ts'

/** Who may use the registry API. Each way of login that is left out is switched off. */
export interface AccessOptions {
  /** A file of users with bcrypt hashes, as `htpasswd -B` writes it. It is read again when it changes. */
  readonly htpasswd?: string
  readonly token?: TokenOptions
  /** PEM file with the authorities of client certificates. It needs TLS, and is read again when it changes. */
  readonly clientCertificates?: { readonly caFile: string }
  /** What clients may do without a login, with every repository. */
  readonly anonymous?: readonly ('pull' | 'list')[]
  /** `open`: clients on this machine may pull and list without a login. Default: open. */
  readonly loopback?: 'open' | 'login'
  /** Without rules everybody who has logged in may do everything. */
  readonly rules?: readonly RuleOptions[]
}

/** Tokens of a token service, by the protocol of the distribution project. */
export interface TokenOptions {
  /** Where clients get tokens. */
  readonly realm: string
  /** What clients name there as the service that the token is for. */
  readonly service: string
  /** The `iss` of its tokens. */
  readonly issuer: string
  /** The `aud` of its tokens; default: the service. */
  readonly audience?: string
  /** Where the keys of the service come from: one of the two. */
  readonly keys:
    | { readonly kind: 'pem'; readonly file: string }
    | { readonly kind: 'jwks-file'; readonly file: string }
    | { readonly kind: 'jwks-url'; readonly url: string; readonly caFile?: string }
  /** Default: every asymmetric algorithm. */
  readonly algorithms?: readonly SignatureAlgorithm[]
}

/** The algorithms that verify with a public key: with a shared secret the agent could issue tokens itself. */
export const SIGNATURE_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const
export type SignatureAlgorithm = (typeof SIGNATURE_ALGORITHMS)[number]

export interface RuleOptions {
  /** Names, patterns of names with `*` and `**`, `anonymous` (everybody) or `authenticated` (everybody with a login). */
  readonly who: readonly string[]
  /** Patterns of repositories; default: all. One without a registry means the repositories of this agent. */
  readonly names?: readonly string[]
  readonly actions: readonly Action[]
  /** Networks of the client, such as `10.0.0.0/8`; default: all. */
  readonly networks?: readonly string[]
}
