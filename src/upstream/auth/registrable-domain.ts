import { scopeOfHostname } from '../options/address-scope.ts'

/**
 * Domains of clouds that give each customer a host name of its own, and that the public suffix list lacks or covers only
 * for some services. Under them, every host counts as a domain of its own.
 */
const CUSTOMER_DOMAINS: readonly string[] = [
  'amazonaws.com',
  'amazonaws.com.cn',
  'azurecr.cn',
  'azurecr.io',
  'azurecr.us',
  'on.aws',
  'pkg.dev',
  'run.app',
  'windows.net',
]

/**
 * The part of a host name that one owner has registered (eTLD+1), by the public suffix list with its private section:
 * `a.github.io` and `b.github.io` have different owners. An address, and a name without an owner, is returned whole.
 */
export async function registrableDomain(hostname: string): Promise<string> {
  if (scopeOfHostname(hostname) !== undefined) return hostname
  const bare = hostname.replace(/\.$/, '')
  if (CUSTOMER_DOMAINS.some((domain) => bare === domain || bare.endsWith(`.${domain}`))) return bare
  // The list takes 12 MB of memory, and most registries are their own token service.
  const { getDomain } = await import('tldts')
  return getDomain(bare, { allowPrivateDomains: true }) ?? bare
}
