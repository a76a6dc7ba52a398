import { Failure } from '../../ports/failure.ts'
import { type AddressScope, isWithinScope, scopeOfHostname } from '../options/address-scope.ts'
import { registrableDomain } from './registrable-domain.ts'

/** Token services that are known to lie outside the domain of their registry, by the registry's host or domain. */
const OUTSIDE_REALMS: ReadonlyMap<string, string> = new Map([
  ['registry.hub.docker.com', 'auth.docker.io'],
  ['lscr.io', 'ghcr.io'],
  ['nvcr.io', 'authn.nvidia.com'],
  ['scw.cloud', 'api.scaleway.com'],
])

export interface RealmRules {
  /** The URL of the registry. */
  readonly registry: URL
  /** How far inside the network the registry itself, and so its token service, may lie. */
  readonly scopeLimit: AddressScope
  /** Hosts that may get this registry's credentials, by the settings. */
  readonly realms: readonly string[]
}

/** Whether the realm belongs to the owner of the registry, or is named in the settings or in `OUTSIDE_REALMS`. */
async function isPermitted(realm: URL, { registry, realms }: RealmRules): Promise<boolean> {
  if (realm.host === registry.host || realm.hostname === registry.hostname) return true
  if (realms.includes(realm.host) || realms.includes(realm.hostname)) return true
  if (isOutsideRealm(registry.hostname, realm)) return true
  const domain = await registrableDomain(registry.hostname)
  if (isOutsideRealm(domain, realm)) return true
  return domain.includes('.') && (await registrableDomain(realm.hostname)) === domain
}

function isOutsideRealm(registry: string, realm: URL): boolean {
  return OUTSIDE_REALMS.get(registry) === realm.hostname
}

/**
 * Parses the realm of a challenge. Refuses a realm at which a stranger could collect credentials, and one inside the
 * node's own network.
 */
export async function checkRealm(text: string, rules: RealmRules): Promise<URL> {
  const source = rules.registry.host
  const refuse = (why: string): never => {
    throw new Failure('denied', `${source} names a token service ${why}`, { source })
  }
  let realm: URL
  try {
    realm = new URL(text, rules.registry)
  } catch {
    return refuse('with an invalid URL')
  }
  if (realm.protocol !== 'https:' && realm.protocol !== 'http:') return refuse('that is not at http or https')
  if (realm.protocol === 'http:' && rules.registry.protocol === 'https:') return refuse('without TLS')
  if (realm.username !== '' || realm.password !== '') return refuse('with a password in its URL')
  if (!(await isPermitted(realm, rules))) {
    return refuse(`at ${realm.host}, outside its own domain; if that is right, list it under realms`)
  }
  const scope = scopeOfHostname(realm.hostname)
  if (realm.host !== source && scope !== undefined && !isWithinScope(scope, rules.scopeLimit)) {
    return refuse(`at the private address ${realm.host}; if that is right, set allowPrivateTargets`)
  }
  realm.hash = ''
  return realm
}
