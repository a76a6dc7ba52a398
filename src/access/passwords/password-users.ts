import { SharedWork } from '../../lib/async/shared-work.ts'
import { BoundedMap } from '../../lib/bounded-map.ts'
import { credentialKey } from '../logins/credential-key.ts'
import type { PasswordHashing } from './password-hashing.ts'

const REMEMBERED_MS = 5 * 60_000
const MOST_REMEMBERED = 1024
/** Of nobody's password: what is compared when the file has no users. */
const NOBODY = '$2b$10$oTrbVjL0nYTKqtVe7lLpoep2QAon3f9xppYHPhWfzmqH4LS8FUL6W'

/** What a client wants to be. `key` names its credentials. */
interface PasswordClaim {
  readonly user: string
  readonly password: Buffer
  readonly key: string
}

/**
 * The users of one version of the password file. It remembers which credentials were right; the next version of the file
 * begins with an empty memory.
 */
export class PasswordUsers {
  readonly #users: ReadonlyMap<string, string>
  readonly #hashes: readonly string[]
  readonly #hashing: PasswordHashing
  readonly #remembered: BoundedMap<string, string>
  readonly #verifying = new SharedWork<boolean | undefined>()

  constructor(users: ReadonlyMap<string, string>, hashing: PasswordHashing, now?: () => number) {
    this.#users = users
    this.#hashes = users.size === 0 ? [NOBODY] : [...users.values()]
    this.#hashing = hashing
    this.#remembered = new BoundedMap(MOST_REMEMBERED, {
      ttlMs: REMEMBERED_MS,
      ...(now === undefined ? {} : { now }),
    })
  }

  isRemembered(key: string): boolean {
    return this.#remembered.has(key)
  }

  isBeingVerified(key: string): boolean {
    return this.#verifying.has(key)
  }

  /** Resolves with undefined when too many others wait. Requests with the same credentials share one computation. */
  verify({ user, password, key }: PasswordClaim): Promise<boolean | undefined> {
    return this.#verifying.run(key, async () => {
      const hash = this.#users.get(user)
      const isEqual = await this.#hashing.compare(password, hash ?? this.#hashInsteadOf(user))
      if (isEqual === undefined) return undefined
      const isRight = isEqual && hash !== undefined
      if (isRight) this.#remembered.set(key, user)
      return isRight
    }).promise
  }

  /** An unknown user costs what some known one does, and the same each time: the costs of the hashes may differ. */
  #hashInsteadOf(user: string): string {
    const index = Buffer.from(credentialKey(user), 'base64').readUInt32BE() % this.#hashes.length
    return this.#hashes[index] ?? NOBODY
  }
}
