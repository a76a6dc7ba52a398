import { createPrivateKey, type KeyObject } from 'node:crypto'

/** What stands before the seed of a key in PKCS #8 (RFC 8410, 7). */
const PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')

export function privateKeyOf(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PREFIX, seed]), format: 'der', type: 'pkcs8' })
}
