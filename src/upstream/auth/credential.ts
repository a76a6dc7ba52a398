import { createHash } from 'node:crypto'

/** How the agent authenticates to an upstream. */
export type Credential =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  /** A refresh token of OAuth2; Docker's config stores it under the user `<token>` or as `identitytoken`. */
  | { readonly kind: 'identity'; readonly username: string; readonly token: string }

/** Credential helpers return identity tokens under this user name. */
const TOKEN_USER = '<token>'

export function credentialOf(username: string, secret: string): Credential {
  if (username === TOKEN_USER) return { kind: 'identity', username: '', token: secret }
  return { kind: 'basic', username, password: secret }
}

/** Identifies a credential without revealing it, so that tokens issued for one credential are not used for another. */
export function fingerprint(credential: Credential | undefined): string {
  if (credential === undefined) return 'anonymous'
  const { kind, username } = credential
  const secret = kind === 'basic' ? credential.password : credential.token
  return createHash('sha256')
    .update(JSON.stringify([kind, username, secret]))
    .digest('hex')
    .slice(0, 16)
}

export function basicHeader(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}
