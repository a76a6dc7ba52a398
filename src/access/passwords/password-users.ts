import { SharedWork } from '../../lib/async/shared-work.ts'
import { BoundedMap } from '../../lib/bounded-map.ts'
import { credentialKey } from '../logins/credential-key.ts'
import { type Login, refusedLogin } from '../logins/login.ts'
import type { PasswordHashing } from './password-hashing.ts'
import type { WrongLogins } from './wrong-logins.ts'

const REMEMBERED_MS = 5 * 60_000
const MOST_REMEMBERED = 1024
/** Of nobody's password: what is compared when the file has no users. */
const NOBODY = '$2b$10$oTrbVjL0nYTKqtVe7lLpoep2QAon3f9xppYHPhWfzmqH4LS8FUL6W'

/** How long a password waits until fewer of its address are being verified. */
const PLACE_MS = 5000
/** Too many passwords are being verified: the client may try again a little later. */
const BUSY: Login = { kind: 'slow-down', retryAfterMs: 1000 }

/** What a client wants to be. `key` names its credentials. */
interface PasswordClaim {
  readonly user: string
  readonly password: Buffer
  readonly key: string
  readonly address: string
}

/**
 * The users of one version of the password file. It remembers which credentials were right; the next version of the file
 * begins with an empty memory.
 */
export class PasswordUsers {
  readonly #users: ReadonlyMap<string, string>
  readonly #hashes: readonly string[]
  readonly #hashing: PasswordHashing
  readonly #wrong: WrongLogins
  readonly #remembered: BoundedMap<string, string>
  readonly #verifying = new SharedWork<Login>()

  /** `wrong` counts for all versions of the file. */
  constructor(
    users: ReadonlyMap<string, string>,
    { hashing, wrong }: { readonly hashing: PasswordHashing; readonly wrong: WrongLogins },
    now?: () => number,
  ) {
    this.#users = users
    this.#hashes = users.size === 0 ? [NOBODY] : [...users.values()]
    this.#hashing = hashing
    this.#wrong = wrong
    this.#remembered = new BoundedMap(MOST_REMEMBERED, {
      ttlMs: REMEMBERED_MS,
      ...(now === undefined ? {} : { now }),
    })
  }

  /** Requests at the same time with the same credentials share one attempt. */
  async find(claim: PasswordClaim): Promise<Login> {
    const known: Login = { kind: 'known', name: claim.user, grants: undefined }
    if (this.#remembered.has(claim.key)) return known
    return this.#verifying.run(claim.key, () => this.#attempt(claim, known)).promise
  }

  async #attempt(claim: PasswordClaim, known: Login): Promise<Login> {
    const attempt = await this.#wrong.begin(claim.address, { signal: AbortSignal.timeout(PLACE_MS) })
    if (attempt.kind === 'no-place') return BUSY
    if (attempt.kind === 'must-wait') return { kind: 'slow-down', retryAfterMs: attempt.retryAfterMs }
    let isRight: boolean | undefined
    try {
      isRight = await this.#isRight(claim)
    } finally {
      // What was not verified at all was not wrong.
      attempt.end(isRight !== false)
    }
    if (isRight === undefined) return BUSY
    return isRight ? known : refusedLogin('the user or the password is wrong')
  }

  /** Resolves with undefined when too many others wait. */
  async #isRight({ user, password, key }: PasswordClaim): Promise<boolean | undefined> {
    const hash = this.#users.get(user)
    const isEqual = await this.#hashing.compare(password, hash ?? this.#hashInsteadOf(user))
    if (isEqual === undefined) return undefined
    const isRight = isEqual && hash !== undefined
    if (isRight) this.#remembered.set(key, user)
    return isRight
  }

  /** An unknown user costs what some known one does, and the same each time: the costs of the hashes may differ. */
  #hashInsteadOf(user: string): string {
    const index = Buffer.from(credentialKey(user), 'base64').readUInt32BE() % this.#hashes.length
    return this.#hashes[index] ?? NOBODY
  }
}
