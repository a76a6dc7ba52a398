import { decodeProtectedHeader, errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose'
import * as v from 'valibot'
import type { Repository } from '../../oci/names/repository.ts'
import { credentialKey } from '../logins/credential-key.ts'
import { type Login, refusedLogin } from '../logins/login.ts'
import { SIGNATURE_ALGORITHMS, type TokenOptions } from '../options/access-options.ts'
import type { KeySet } from './key-set.ts'
import { AccessClaim, tokenGrants } from './token-grants.ts'
import { openTokenKeys, type TokenKeys } from './token-keys.ts'

/** How far the clocks of this machine and of the token service may differ. */
const CLOCK_SECONDS = 30
const REMEMBERED_MS = 5 * 60_000
const Claims = v.looseObject({
  sub: v.optional(v.pipe(v.string(), v.maxLength(255))),
  exp: v.number(),
  access: AccessClaim,
})

interface TokenLoginsOptions {
  readonly isHosted: (repository: Repository) => boolean
  /** The time of day in milliseconds. */
  readonly now?: () => number
  readonly checkMs?: number
}

/** Logins by tokens of a token service. */
export class TokenLogins {
  readonly #keys: TokenKeys
  readonly #verifyOptions: JWTVerifyOptions
  readonly #algorithms: readonly string[]
  readonly #isHosted: (repository: Repository) => boolean
  readonly #now: () => number

  constructor(options: TokenOptions, keys: TokenKeys, { isHosted, now = Date.now }: TokenLoginsOptions) {
    const { issuer, service, audience = service, algorithms = SIGNATURE_ALGORITHMS } = options
    this.#keys = keys
    this.#algorithms = algorithms
    this.#verifyOptions = {
      issuer,
      audience,
      algorithms: [...algorithms],
      clockTolerance: CLOCK_SECONDS,
      requiredClaims: ['exp'],
    }
    this.#isHosted = isHosted
    this.#now = now
  }

  /** Rejects when the keys cannot be used. */
  static async open(options: TokenOptions, more: TokenLoginsOptions): Promise<TokenLogins> {
    const { checkMs } = more
    const keys = await openTokenKeys(options.keys, checkMs === undefined ? {} : { checkMs })
    return new TokenLogins(options, keys, more)
  }

  async find(token: string): Promise<Login> {
    const keySet = await this.#keys.current()
    const key = credentialKey(token)
    const remembered = keySet.remembered.get(key)
    if (remembered !== undefined && this.#now() < remembered.until) return remembered.login
    try {
      const verified = await this.#verify(token, keySet)
      const { sub, exp, access } = v.parse(Claims, verified.payload)
      const name = sub === '' ? undefined : sub
      const login: Login = { kind: 'known', name, grants: tokenGrants(access, this.#isHosted) }
      const until = Math.min((exp + CLOCK_SECONDS) * 1000, this.#now() + REMEMBERED_MS)
      verified.keySet.remembered.set(key, { login, until })
      return login
    } catch (error) {
      return refusedLogin(problemOf(error), { isToken: true })
    }
  }

  /** Rejects when the token is not valid. Keys are looked for by name and algorithm, and only among those of the service. */
  async #verify(
    token: string,
    current: KeySet,
  ): Promise<{ readonly payload: JWTPayload; readonly keySet: KeySet }> {
    const { alg, kid } = decodeProtectedHeader(token)
    if (alg === undefined || !this.#algorithms.includes(alg)) throw new errors.JOSEAlgNotAllowed()
    const header = { alg, ...(kid === undefined ? {} : { kid }) }
    let keySet = current
    let candidates = await keySet.find(header)
    if (candidates.length === 0) {
      keySet = (await this.#keys.newer()) ?? keySet
      candidates = await keySet.find(header)
    }
    const options = { ...this.#verifyOptions, currentDate: new Date(this.#now()) }
    for (const candidate of candidates) {
      try {
        const { payload } = await jwtVerify(token, candidate, options)
        return { payload, keySet }
      } catch (error) {
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error
      }
    }
    throw new errors.JWSSignatureVerificationFailed()
  }
}

/** Tells the holder of a token what is wrong with it, and nothing that it says. */
function problemOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'the token has expired; get a new one'
  if (error instanceof errors.JWTClaimValidationFailed)
    return `the claim ${error.claim} of the token is not what this registry expects`
  if (error instanceof errors.JOSEAlgNotAllowed)
    return 'the token is signed by an algorithm that is not allowed'
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return 'the token is not signed by a key of the token service'
  return 'the token cannot be read'
}
