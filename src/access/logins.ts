import type { Caller } from '../ports/access.ts'
import { certificateName } from './logins/certificate-name.ts'
import { readCredentials } from './logins/credentials.ts'
import { ANONYMOUS, type Login, refusedLogin } from './logins/login.ts'
import type { PasswordLogins } from './passwords/password-logins.ts'
import type { TokenLogins } from './tokens/token-logins.ts'

/** Each way of login that is switched on. */
interface LoginWays {
  readonly passwords: PasswordLogins | undefined
  readonly tokens: TokenLogins | undefined
  readonly takesCertificates: boolean
}

/** Finds out who a client is: by what it says in `Authorization`, or else by its certificate. */
export class Logins {
  readonly #ways: LoginWays

  constructor(ways: LoginWays) {
    this.#ways = ways
  }

  async find(caller: Caller): Promise<Login> {
    const { passwords, tokens } = this.#ways
    const credentials = readCredentials(caller.authorization)
    switch (credentials.kind) {
      case 'none':
        return this.#byCertificate(caller.certificate)
      case 'unusable':
        return refusedLogin('the Authorization header cannot be read')
      case 'password':
        return passwords?.find(credentials, caller) ?? refusedLogin('this registry takes no passwords')
      case 'token':
        return (
          tokens?.find(credentials.token) ?? refusedLogin('this registry takes no tokens', { isToken: true })
        )
    }
  }

  #byCertificate(certificate: Uint8Array | undefined): Login {
    if (!this.#ways.takesCertificates || certificate === undefined) return ANONYMOUS
    const name = certificateName(certificate)
    return name === undefined
      ? refusedLogin('the certificate has no name: neither one SPIFFE URI nor a common name')
      : { kind: 'known', name, grants: undefined }
  }
}
