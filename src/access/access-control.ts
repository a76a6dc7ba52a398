import { type Repository, repositoryKey } from '../oci/names/repository.ts'
import type { AccessControl, Action, Caller, Decision, Wish } from '../ports/access.ts'
import type { Challenges, TokenError } from './challenges.ts'
import type { Login } from './logins/login.ts'
import type { Logins } from './logins.ts'
import type { AccessRules, Applicant } from './rules/access-rules.ts'

interface LoginAccessParts {
  readonly logins: Pick<Logins, 'find'>
  readonly rules: AccessRules
  readonly challenges: Challenges
}

const VERBS: Readonly<Record<Action, string>> = {
  pull: 'pull from',
  push: 'push to',
  delete: 'delete in',
  list: 'list',
}
const LOGIN = 'log in to do this'

/** Access control by logins and rules. */
export class LoginAccess implements AccessControl {
  readonly #logins: Pick<Logins, 'find'>
  readonly #rules: AccessRules
  readonly #challenges: Challenges

  constructor({ logins, rules, challenges }: LoginAccessParts) {
    this.#logins = logins
    this.#rules = rules
    this.#challenges = challenges
  }

  async decide(caller: Caller, wishes: readonly Wish[]): Promise<Decision> {
    const anybody: Applicant = { address: caller.address, isLocal: caller.isLocal, name: undefined }
    // What everybody may do costs no login, not even a wrong one.
    if (wishes.length > 0 && wishes.every((wish) => this.#rules.allows(anybody, wish)))
      return { kind: 'allowed', identity: { name: undefined } }
    const login = await this.#logins.find(caller)
    switch (login.kind) {
      case 'slow-down':
        return login
      case 'refused':
        return this.#askToLogIn(wishes, login.message, login.isToken ? 'invalid_token' : undefined)
      case 'anonymous':
        return wishes.length === 0 ? this.#answerProbe(anybody) : this.#askToLogIn(wishes, LOGIN)
      case 'known':
        return this.#decideForKnown({ ...anybody, name: login.name }, login, wishes)
    }
  }

  async filterListable(caller: Caller, repositories: readonly Repository[]): Promise<readonly Repository[]> {
    const { address, isLocal } = caller
    const login = await this.#logins.find(caller)
    const [name, grants] = login.kind === 'known' ? [login.name, login.grants] : [undefined, undefined]
    // A token that may read the catalog may read all of it: its service cannot name each repository.
    if (grants?.({ action: 'list', repository: undefined }) === true) return repositories
    return repositories.filter((repository) => {
      const wish: Wish = { action: 'list', repository }
      const applicant = { address, isLocal, name: grants === undefined ? name : undefined }
      return this.#rules.allows(applicant, wish) || grants?.(wish) === true
    })
  }

  /** Docker, podman and skopeo ask `/v2/` once and log in only if the answer to that is 401. */
  #answerProbe(anybody: Applicant): Decision {
    const challenges = this.#challenges.for([])
    if (challenges.length > 0) return { kind: 'login', challenges, message: LOGIN }
    const mayPull = this.#rules.allows(anybody, { action: 'list', repository: undefined })
    return mayPull ? { kind: 'allowed', identity: { name: undefined } } : this.#askToLogIn([], LOGIN)
  }

  #decideForKnown(
    applicant: Applicant,
    { grants }: Extract<Login, { kind: 'known' }>,
    wishes: readonly Wish[],
  ): Decision {
    const { name } = applicant
    // A token says itself what it is good for; rules say what everybody may do besides.
    const ruled = grants === undefined ? applicant : { ...applicant, name: undefined }
    const refused = wishes.find((wish) => !(this.#rules.allows(ruled, wish) || grants?.(wish) === true))
    if (refused === undefined) return { kind: 'allowed', identity: { name } }
    if (grants !== undefined)
      return this.#askToLogIn(wishes, 'the token does not allow this', 'insufficient_scope')
    const { action, repository } = refused
    const where = repository === undefined ? 'the catalog' : repositoryKey(repository)
    return { kind: 'forbidden', message: `${name} may not ${VERBS[action]} ${where}; no rule allows it` }
  }

  /** Without a way of login that takes a challenge, only a certificate helps. */
  #askToLogIn(wishes: readonly Wish[], message: string, error?: TokenError): Decision {
    const challenges = this.#challenges.for(wishes, error)
    if (challenges.length > 0) return { kind: 'login', challenges, message }
    const hint = 'this registry knows its clients by their certificates; connect with one'
    return { kind: 'forbidden', message: message === LOGIN ? hint : message }
  }
}
