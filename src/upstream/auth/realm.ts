import { Failure } from '../../ports/failure.ts'
import { type AddressScope, isWithinScope, scopeOfHostname } from '../options/address-scope.ts'

/** Token services that are known to lie outside their registry's domain. */
const FAR_REALMS: Readonly<Record<string, readonly string[]>> = {
  'registry.hub.docker.com': ['auth.docker.io'],
  'lscr.io': ['ghcr.io'],
  'nvcr.io': ['authn.nvidia.com'],
  'scw.cloud': ['api.scaleway.com'],
}

/** Second-level labels under which names are sold (`example.co.uk`), where the top level is a country's. */
const SOLD_BELOW = /^(?:ac|co|com|edu|gob|gov|go|mil|ne|net|nom|or|org|sch)\.[a-z]{2}$/

/** Domains under which every customer has a name of his own. */
const SHARED: ReadonlySet<string> = new Set([
  'amazonaws.com',
  'azurecr.io',
  'azurewebsites.net',
  'cloudfront.net',
  'github.io',
  'herokuapp.com',
  'on.aws',
  'pkg.dev',
  'run.app',
  'windows.net',
  'workers.dev',
])

/** The part of a host name that one owner has (what the public suffix list is for), near enough for this one use. */
export function registrableDomain(hostname: string): string {
  if (scopeOfHostname(hostname) !== undefined) return hostname
  const labels = hostname.split('.')
  const lastTwo = labels.slice(-2).join('.')
  if (SHARED.has(lastTwo)) return hostname
  return labels.slice(SOLD_BELOW.test(lastTwo) ? -3 : -2).join('.')
}

export interface RealmRules {
  /** The registry's own URL. */
  readonly registry: URL
  /** How far inside the network the registry itself lies. */
  readonly scopeLimit: AddressScope
  /** Hosts that the operator trusts with this registry's credentials. */
  readonly realms: readonly string[]
}

function isTrusted(realm: URL, rules: RealmRules): boolean {
  const { registry } = rules
  if (realm.host === registry.host || realm.hostname === registry.hostname) return true
  if (rules.realms.includes(realm.host) || rules.realms.includes(realm.hostname)) return true
  const domain = registrableDomain(registry.hostname)
  if (domain.includes('.') && registrableDomain(realm.hostname) === domain) return true
  return [registry.hostname, domain].some((name) => FAR_REALMS[name]?.includes(realm.hostname) === true)
}

/** The realm of a challenge as a URL to ask for a token. Refuses what would make us ask strangers or our own network. */
export function checkRealm(text: string, rules: RealmRules): URL {
  const source = rules.registry.host
  const refuse = (why: string): never => {
    throw new Failure('denied', `${source} names a token service ${why}`, { source })
  }
  let realm: URL
  try {
    realm = new URL(text, rules.registry)
  } catch {
    return refuse('that is not a URL')
  }
  if (realm.protocol !== 'https:' && realm.protocol !== 'http:') return refuse('that is not a web address')
  if (realm.protocol === 'http:' && rules.registry.protocol === 'https:') return refuse('without TLS')
  if (realm.username !== '' || realm.password !== '') return refuse('with a password in its address')
  if (!isTrusted(realm, rules)) {
    return refuse(`at ${realm.host}, outside its own domain; if that is right, list it under realms`)
  }
  const literal = scopeOfHostname(realm.hostname)
  if (realm.host !== source && literal !== undefined && !isWithinScope(literal, rules.scopeLimit)) {
    return refuse(`at the private address ${realm.host}; if that is right, set allowPrivateTargets`)
  }
  realm.hash = ''
  return realm
}
