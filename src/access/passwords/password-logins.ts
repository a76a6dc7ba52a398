import { WatchedFile } from '../../lib/watched-file.ts'
import { publish } from '../../observe/events.ts'
import type { Caller } from '../../ports/access.ts'
import { credentialKey } from '../logins/credential-key.ts'
import { type Login, refusedLogin } from '../logins/login.ts'
import { parseHtpasswd } from './htpasswd.ts'
import { type CompareHash, loadBcrypt, PasswordHashing } from './password-hashing.ts'
import { PasswordUsers } from './password-users.ts'
import { WrongLogins } from './wrong-logins.ts'

/** How long a client waits when too many passwords are being verified. */
const BUSY_MS = 1000
/** How long it may take until a change of the file is noticed. */
const CHECK_MS = 1000

interface PasswordLoginsOptions {
  readonly compare?: CompareHash
  readonly checkMs?: number
  readonly now?: () => number
}

/** Logins by user and password. */
export class PasswordLogins {
  readonly #file: WatchedFile<PasswordUsers>
  readonly #wrong: WrongLogins

  private constructor(file: WatchedFile<PasswordUsers>, wrong: WrongLogins) {
    this.#file = file
    this.#wrong = wrong
  }

  /** Rejects with a `FileProblem` when the file cannot be used. */
  static async open(
    path: string,
    { compare, checkMs = CHECK_MS, now }: PasswordLoginsOptions = {},
  ): Promise<PasswordLogins> {
    const hashing = new PasswordHashing(compare ?? (await loadBcrypt()))
    const file = new WatchedFile(path, {
      parse: (text) => new PasswordUsers(parseHtpasswd(text, path), hashing, now),
      checkMs,
      onProblem: (problem) => publish('file.checked', { file: path, problem: problem?.message }),
    })
    await file.read()
    return new PasswordLogins(file, new WrongLogins(now))
  }

  async find(
    { user, password }: { readonly user: string; readonly password: Buffer },
    { authorization = '', address }: Pick<Caller, 'authorization' | 'address'>,
  ): Promise<Login> {
    const users = await this.#file.read()
    const known: Login = { kind: 'known', name: user, grants: undefined }
    const key = credentialKey(authorization)
    if (users.isRemembered(key)) return known
    const claim = { user, password, key }
    // Only the first of several requests with the same credentials counts as an attempt.
    if (users.isBeingVerified(key)) return loginOf(await users.verify(claim), known)
    const attempt = this.#wrong.begin(address)
    if (attempt.kind === 'must-wait') return { kind: 'slow-down', retryAfterMs: attempt.retryAfterMs }
    let isRight: boolean | undefined
    try {
      isRight = await users.verify(claim)
    } finally {
      // What was not verified at all was not wrong.
      attempt.end(isRight !== false)
    }
    return loginOf(isRight, known)
  }
}

function loginOf(isRight: boolean | undefined, known: Login): Login {
  if (isRight === undefined) return { kind: 'slow-down', retryAfterMs: BUSY_MS }
  return isRight ? known : refusedLogin('the user or the password is wrong')
}
