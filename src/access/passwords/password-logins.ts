import { WatchedFile } from '../../lib/watched-file.ts'
import { publish } from '../../observe/events.ts'
import type { Caller } from '../../ports/access.ts'
import { credentialKey } from '../logins/credential-key.ts'
import type { Login } from '../logins/login.ts'
import { parseHtpasswd } from './htpasswd.ts'
import { type CompareHash, loadBcrypt, PasswordHashing } from './password-hashing.ts'
import { PasswordUsers } from './password-users.ts'
import { WrongLogins } from './wrong-logins.ts'

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

  private constructor(file: WatchedFile<PasswordUsers>) {
    this.#file = file
  }

  /** Rejects with a `FileProblem` when the file cannot be used. */
  static async open(
    path: string,
    { compare, checkMs = CHECK_MS, now }: PasswordLoginsOptions = {},
  ): Promise<PasswordLogins> {
    const hashing = new PasswordHashing(compare ?? (await loadBcrypt()))
    const wrong = new WrongLogins(now)
    const file = new WatchedFile(path, {
      parse: (text) => new PasswordUsers(parseHtpasswd(text, path), { hashing, wrong }, now),
      checkMs,
      onProblem: (problem) => publish('file.checked', { file: path, problem: problem?.message }),
    })
    await file.read()
    return new PasswordLogins(file)
  }

  async find(
    { user, password }: { readonly user: string; readonly password: Buffer },
    { authorization = '', address }: Pick<Caller, 'authorization' | 'address'>,
  ): Promise<Login> {
    const users = await this.#file.read()
    return users.find({ user, password, key: credentialKey(authorization), address })
  }
}
