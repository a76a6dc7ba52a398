import { type BinaryLike, createHash, type ScryptOptions, scrypt } from 'node:crypto'
import { promisify } from 'node:util'
import { BoundedMap } from '../../lib/bounded-map.ts'
import { type Credential, fingerprint } from './credential.ts'

const SALT = 'leat credential 1'
const COST = { N: 2 ** 14, r: 8, p: 1 }
const MOST_HASHES = 16

const hashWithScrypt = promisify<BinaryLike, BinaryLike, number, ScryptOptions, Buffer>(scrypt)

/**
 * Hashes that are equal on all agents with the same credential. A hash reaches agents with other credentials, so scrypt makes
 * it: each guess of a password costs as much as for a password hash.
 */
export class CredentialHashes {
  readonly #hashes = new BoundedMap<string, Promise<Buffer>>(MOST_HASHES)

  /** Returns the hash of a credential for one purpose. */
  async hash(credential: Credential | undefined, purpose: readonly unknown[]): Promise<string> {
    const hash = credential === undefined ? 'anonymous' : (await this.#slowHash(credential)).toString('hex')
    return createHash('sha256')
      .update(JSON.stringify([hash, ...purpose]))
      .digest('hex')
  }

  #slowHash(credential: Credential): Promise<Buffer> {
    const key = fingerprint(credential)
    const cached = this.#hashes.get(key)
    if (cached !== undefined) return cached
    const secret = credential.kind === 'basic' ? credential.password : credential.token
    const text = JSON.stringify([credential.kind, credential.username, secret])
    const hash = hashWithScrypt(text, SALT, 32, COST)
    this.#hashes.set(key, hash)
    return hash
  }
}
