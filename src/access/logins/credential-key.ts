import { createHmac, randomBytes } from 'node:crypto'

const KEY = randomBytes(32)

/** A name for what a client has sent. Without this process nobody can tell from it, or by guessing, what that was. */
export function credentialKey(authorization: string): string {
  return createHmac('sha256', KEY).update(authorization).digest('base64')
}
