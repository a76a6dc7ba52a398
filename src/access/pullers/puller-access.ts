import type { Repository } from '../../oci/names/repository.ts'
import type { PullRights, RegistryLogin, WantedContent } from '../../ports/access/pull-rights.ts'
import type { AccessControl, Caller, Decision, Wish } from '../../ports/access.ts'
import { credentialKey } from '../logins/credential-key.ts'
import { readCredentials } from '../logins/credentials.ts'
import { DECISION_MS, RightQuestions } from './right-questions.ts'

interface PullerAccessOptions {
  /** Decides about everything that no registry decides. */
  readonly next: AccessControl
  /** Says whether the content of a repository is cached content of its registry. */
  readonly isCached: (repository: Repository) => boolean
  /** False: passwords are logins of this agent, and no registry gets them. */
  readonly takesPasswords: boolean
  readonly now?: () => number
}

/** By what a right to pull may be proved. */
interface Proof {
  readonly key: string
  readonly login: RegistryLogin | undefined
}

interface RegistryWish {
  readonly repository: Repository
  readonly content: WantedContent
  readonly staleMs: number
}

const EVERYBODY: Proof = { key: 'everybody', login: undefined }
/** With `Bearer`, the client would send its credentials to the token service that the challenge names. */
const BASIC = ['Basic realm="leat", charset="UTF-8"']
const LOGIN = 'the registry gives this image only to those who log in; send the login for the registry'
const ABSENT = 'the registry does not give this image to the client, or it does not exist'
const UNKNOWN = 'the registry cannot be asked now whether the client may have this image'
const FOREIGN = 'the registry does not give this blob to everybody, so that it cannot be mounted'

/**
 * Gives cached content of some registries only to clients to which the registry itself would give it. A client proves it by
 * the credentials that it has for the registry.
 */
export class PullerAccess implements AccessControl {
  readonly #rights: PullRights
  readonly #next: AccessControl
  readonly #isCached: (repository: Repository) => boolean
  readonly #takesPasswords: boolean
  readonly #questions: RightQuestions

  constructor(rights: PullRights, { next, isCached, takesPasswords, now }: PullerAccessOptions) {
    this.#rights = rights
    this.#next = next
    this.#isCached = isCached
    this.#takesPasswords = takesPasswords
    this.#questions = new RightQuestions(rights, now)
  }

  async decide(caller: Caller, wishes: readonly Wish[]): Promise<Decision> {
    if (!this.#rights.isUsed) return this.#next.decide(caller, wishes)
    const asked = wishes.map((wish) => this.#registryWish(wish))
    const others = wishes.filter((_, index) => asked[index] === undefined)
    const isMixed = others.length > 0
    const decision = isMixed || wishes.length === 0 ? await this.#next.decide(caller, others) : undefined
    if (decision !== undefined && decision.kind !== 'allowed') return decision
    // The login of a request that wants something else, too, is for this agent, and no registry gets it.
    const proofs = isMixed ? [EVERYBODY] : this.#proofsOf(caller)
    for (const wish of asked) {
      const refusal = wish && (await this.#refuse(caller, wish, proofs))
      if (refusal !== undefined) return isMixed ? { kind: 'forbidden', message: FOREIGN } : refusal
    }
    const allowed: Decision = decision ?? { kind: 'allowed', identity: { name: undefined } }
    // The library of podman and CRI-O sends its login only if `/v2/` has asked for one.
    return wishes.length === 0 && this.#takesPasswords ? { ...allowed, challenges: BASIC } : allowed
  }

  /** No registry is asked for a list: the client sees what it has pulled lately, and what everybody may. */
  async filterListable(caller: Caller, repositories: readonly Repository[]): Promise<readonly Repository[]> {
    if (!this.#rights.isUsed) return this.#next.filterListable(caller, repositories)
    const proofs = this.#proofsOf(caller)
    const others = repositories.filter((repository) => this.#staleMsOf(repository) === undefined)
    const listable = new Set(await this.#next.filterListable(caller, others))
    return repositories.filter((repository) => {
      const staleMs = this.#staleMsOf(repository)
      if (staleMs === undefined) return listable.has(repository)
      return proofs.some(({ key }) => this.#questions.isConfirmed({ key, repository }, staleMs))
    })
  }

  async #refuse(
    { address, authorization }: Caller,
    { repository, content, staleMs }: RegistryWish,
    proofs: readonly Proof[],
  ): Promise<Decision | undefined> {
    if (proofs.some(({ key }) => this.#questions.isConfirmed({ key, repository }))) return undefined
    const signal = AbortSignal.timeout(DECISION_MS)
    let isUnknown = false
    for (const proof of proofs) {
      const right = await this.#questions.find({ ...proof, repository, content, address, signal })
      if (right === 'confirmed') return undefined
      if (right === 'unknown' && this.#questions.isConfirmed({ ...proof, repository }, staleMs))
        return undefined
      isUnknown ||= right === 'unknown' || right === 'not-asked'
    }
    // A client that has sent an empty login has none, and would give up after a second challenge.
    if (authorization === undefined && this.#takesPasswords)
      return { kind: 'login', challenges: BASIC, message: LOGIN }
    return isUnknown ? { kind: 'unavailable', message: UNKNOWN } : { kind: 'absent', message: ABSENT }
  }

  #registryWish({ action, repository, content }: Wish): RegistryWish | undefined {
    if (repository === undefined || content === undefined || (action !== 'pull' && action !== 'list'))
      return undefined
    const staleMs = this.#staleMsOf(repository)
    return staleMs === undefined ? undefined : { repository, content, staleMs }
  }

  #staleMsOf(repository: Repository): number | undefined {
    return this.#isCached(repository) ? this.#rights.staleMsOf(repository) : undefined
  }

  #proofsOf({ authorization = '' }: Caller): readonly Proof[] {
    const credentials = readCredentials(authorization, { takesAnyPassword: true })
    if (credentials.kind !== 'password' || !this.#takesPasswords) return [EVERYBODY]
    const { user, password } = credentials
    const login = { user, password: password.toString() }
    return [EVERYBODY, { key: credentialKey(authorization), login }]
  }
}
