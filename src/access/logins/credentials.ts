/** What a client sends in `Authorization`. */
export type Credentials =
  | { readonly kind: 'none' }
  | { readonly kind: 'password'; readonly user: string; readonly password: Buffer }
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'unusable' }

const MOST_USER_BYTES = 255
const MOST_PASSWORD_BYTES = 1024
const MOST_TOKEN_LENGTH = 16 * 1024

/**
 * Reads the header (RFC 7617 and RFC 6750). Some clients that have no login send an empty user with an empty password
 * instead of no header. Registries take longer passwords than bcrypt does, and some are texts of several lines.
 */
export function readCredentials(
  authorization: string | undefined,
  { takesAnyPassword = false } = {},
): Credentials {
  if (authorization === undefined || authorization === '') return { kind: 'none' }
  const [, scheme = '', rest = ''] = /^([A-Za-z]+) +([^ ]+) *$/.exec(authorization) ?? []
  if (scheme.toLowerCase() === 'basic') return readBasic(rest, takesAnyPassword)
  const isToken = scheme.toLowerCase() === 'bearer' && rest.length <= MOST_TOKEN_LENGTH
  return isToken ? { kind: 'token', token: rest } : { kind: 'unusable' }
}

function readBasic(encoded: string, takesAnyPassword: boolean): Credentials {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(encoded)) return { kind: 'unusable' }
  const bytes = Buffer.from(encoded, 'base64')
  const colon = bytes.indexOf(0x3a)
  if (colon < 0 || colon > MOST_USER_BYTES) return { kind: 'unusable' }
  const [name, password] = [bytes.subarray(0, colon), bytes.subarray(colon + 1)]
  if (name.length === 0) return { kind: password.length === 0 ? 'none' : 'unusable' }
  // bcrypt ends a password at a zero byte, and RFC 7617 allows no control characters.
  const isUnusable =
    password.length > MOST_PASSWORD_BYTES || bytes.some((byte) => byte < 0x20 || byte === 0x7f)
  if (isUnusable && !takesAnyPassword) return { kind: 'unusable' }
  return { kind: 'password', user: name.toString('utf8'), password }
}
