import { type BinaryLike, createHash, type ScryptOptions, scrypt } from 'node:crypto'
import { promisify } from 'node:util'
import { BoundedMap } from '../../lib/bounded-map.ts'
import { type Credential, fingerprint } from './credential.ts'

const SALT = 'leat credential 1'
const COST = { N: 2 ** 14, r: 8, p: 1 }
const KEPT = 16

const hardened = promisify<BinaryLike, BinaryLike, number, ScryptOptions, Buffer>(scrypt)

/**
 * Tells who holds the same credential from who does not. It reaches agents that may hold another one: to guess a password
 * from it costs as much for each guess as a password's hash should.
 */
export class Identities {
  readonly #kept = new BoundedMap<string, Promise<Buffer>>(KEPT)

  /** Of this credential, in this matter. */
  async of(credential: Credential | undefined, matter: readonly unknown[]): Promise<string> {
    const who = credential === undefined ? 'anonymous' : (await this.#hardened(credential)).toString('hex')
    return createHash('sha256')
      .update(JSON.stringify([who, ...matter]))
      .digest('hex')
  }

  #hardened(credential: Credential): Promise<Buffer> {
    const key = fingerprint(credential)
    const kept = this.#kept.get(key)
    if (kept !== undefined) return kept
    const secret = credential.kind === 'basic' ? credential.password : credential.token
    const text = JSON.stringify([credential.kind, credential.username, secret])
    const made = hardened(text, SALT, 32, COST)
    this.#kept.set(key, made)
    return made
  }
}
