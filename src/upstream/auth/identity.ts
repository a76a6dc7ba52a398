import { type BinaryLike, createHash, type ScryptOptions, scrypt } from 'node:crypto'
import { promisify } from 'node:util'
import { BoundedMap } from '../../lib/bounded-map.ts'
import { type Credential, fingerprint } from './credential.ts'

const SALT = 'leat credential 1'
const COST = { N: 2 ** 14, r: 8, p: 1 }
const MOST_HASHES = 16

const slowHash = promisify<BinaryLike, BinaryLike, number, ScryptOptions, Buffer>(scrypt)

/**
 * Identities of credentials: equal for agents with the same credential. An identity reaches agents with other credentials,
 * so it is made with scrypt: each guess of a password costs as much as for a password hash.
 */
export class Identities {
  readonly #hashes = new BoundedMap<string, Promise<Buffer>>(MOST_HASHES)

  /** The identity of a credential for one purpose. */
  async of(credential: Credential | undefined, purpose: readonly unknown[]): Promise<string> {
    const who = credential === undefined ? 'anonymous' : (await this.#hash(credential)).toString('hex')
    return createHash('sha256')
      .update(JSON.stringify([who, ...purpose]))
      .digest('hex')
  }

  #hash(credential: Credential): Promise<Buffer> {
    const key = fingerprint(credential)
    const cached = this.#hashes.get(key)
    if (cached !== undefined) return cached
    const secret = credential.kind === 'basic' ? credential.password : credential.token
    const text = JSON.stringify([credential.kind, credential.username, secret])
    const hash = slowHash(text, SALT, 32, COST)
    this.#hashes.set(key, hash)
    return hash
  }
}
