import { createHmac, timingSafeEqual } from 'node:crypto'
import type { SwarmSecret } from './secret.ts'

/** Names for what only those are to recognize who know it anyway. Who does not know the secret cannot even try. */
export class Pseudonyms {
  readonly #keys: readonly Buffer[]

  /** The first is used, all are recognized. */
  constructor(secrets: readonly SwarmSecret[]) {
    this.#keys = secrets.map(({ pseudonymKey }) => pseudonymKey)
  }

  /** In hex. */
  of(what: string): string {
    const [key] = this.#keys
    if (key === undefined) throw new RangeError('there is no secret')
    return named(key, what).toString('hex')
  }

  /** All by which it may be named. */
  all(what: string): string[] {
    return this.#keys.map((key) => named(key, what).toString('hex'))
  }

  isOf(pseudonym: string, what: string): boolean {
    const given = Buffer.from(pseudonym, 'hex')
    return this.#keys.some((key) => {
      const own = named(key, what)
      return own.length === given.length && timingSafeEqual(own, given)
    })
  }
}

function named(key: Buffer, what: string): Buffer {
  return createHmac('sha256', key).update(what).digest()
}
