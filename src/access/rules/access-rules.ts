import { networkFilter } from '../../lib/client-address.ts'
import { withOwnRegistry } from '../../oci/names/hosted-names.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { repositoryFilter } from '../../oci/names/repository-filter.ts'
import { textMatcher } from '../../oci/names/wildcards.ts'
import type { Action, Wish } from '../../ports/access.ts'
import type { AccessOptions, RuleOptions } from '../options/access-options.ts'

/** Who wants something, as far as rules look at it. */
export interface Applicant {
  readonly address: string
  readonly isLocal: boolean
  /** Undefined: without a login. */
  readonly name: string | undefined
}

type Rule = (applicant: Applicant, wish: Wish) => boolean

/** Decides by the rules of the settings. What no rule allows is not allowed. */
export class AccessRules {
  readonly #rules: readonly Rule[]

  constructor({ anonymous = [], loopback = 'open', rules }: AccessOptions) {
    this.#rules = [
      ...(loopback === 'open' ? [openLoopback] : []),
      ...(anonymous.length === 0 ? [] : [ruleOf({ who: ['anonymous'], actions: anonymous })]),
      ...(rules === undefined ? [loggedIn] : rules.map(ruleOf)),
    ]
  }

  allows(applicant: Applicant, wish: Wish): boolean {
    return this.#rules.some((rule) => rule(applicant, wish))
  }
}

function openLoopback({ isLocal }: Applicant, { action }: Wish): boolean {
  return isLocal && (action === 'pull' || action === 'list')
}

function loggedIn({ name }: Applicant): boolean {
  return name !== undefined
}

function ruleOf({ who, names, actions, networks }: RuleOptions): Rule {
  const isMeant = whoFilter(who)
  const isNamed = namesFilter(names)
  const isInNetwork = networkFilter(networks)
  const allowed: ReadonlySet<Action> = new Set(actions)
  return (applicant, { action, repository }) =>
    allowed.has(action) && isMeant(applicant.name) && isNamed(repository) && isInNetwork(applicant.address)
}

function whoFilter(who: readonly string[]): (name: string | undefined) => boolean {
  if (who.includes('anonymous')) return () => true
  const matchers = who.filter((one) => one !== 'authenticated').map(textMatcher)
  const isAnybody = who.includes('authenticated')
  return (name) => name !== undefined && (isAnybody || matchers.some((matches) => matches(name)))
}

/** The list of all repositories may be read by whoever may list some; it shows those only. */
function namesFilter(names: readonly string[] | undefined): (repository: Repository | undefined) => boolean {
  if (names === undefined) return () => true
  const isNamed = repositoryFilter(names.map(withOwnRegistry))
  return (repository) => repository === undefined || isNamed(repository)
}
