import { createHmac } from 'node:crypto'
import type { SwarmSecret } from './secret.ts'

/**
 * Names in hex under which members share facts about something without revealing it. Only a member that knows the same
 * thing recognizes its pseudonym, and an agent without the secret of the swarm cannot compute pseudonyms to compare.
 */
export class Pseudonyms {
  readonly #keys: readonly Buffer[]

  /** Pseudonyms are made with the first secret, and recognized with any of them. */
  constructor(secrets: readonly SwarmSecret[]) {
    this.#keys = secrets.map(({ pseudonymKey }) => pseudonymKey)
  }

  of(name: string): string {
    const [key] = this.#keys
    if (key === undefined) throw new RangeError('no secret was given')
    return pseudonymOf(key, name)
  }

  /** All pseudonyms that members may use for this name, one for each secret. */
  all(name: string): string[] {
    return this.#keys.map((key) => pseudonymOf(key, name))
  }
}

function pseudonymOf(key: Buffer, name: string): string {
  return createHmac('sha256', key).update(name).digest('hex')
}
