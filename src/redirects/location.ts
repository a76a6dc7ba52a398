import { isRepositoryName, MAX_NAME_LENGTH } from '../oci/names/names.ts'
import { nameOnRegistry } from '../oci/names/registry-host.ts'
import type { RegistryUrl } from '../oci/names/registry-url.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { Wanted } from '../ports/redirects/redirected-host.ts'

/** The repository at the registry that a name on a redirected host means; undefined for a text that is no name. */
export function repositoryAt({ registry, prefix }: RegistryUrl, name: string): Repository | undefined {
  if (!isRepositoryName(name)) return undefined
  const whole = nameOnRegistry(registry, prefix === '' ? name : `${prefix}/${name}`)
  return registry.length + 1 + whole.length > MAX_NAME_LENGTH ? undefined : { registry, name: whole }
}

/**
 * The URL at the registry. Everything in its path has been parsed, so it leads nowhere else. The query is what the client
 * has sent, encoded again, without `ns`, which is for mirrors.
 */
export function locationAt(
  { origin }: RegistryUrl,
  { name }: Repository,
  wanted: Wanted,
  query: string,
): string {
  const url = new URL(`${origin}/v2/${name}/${pathOf(wanted)}`)
  url.search = query
    .split('&')
    .filter((pair) => pair !== '' && !isNs(pair))
    .join('&')
  return url.href
}

function pathOf(wanted: Wanted): string {
  switch (wanted.kind) {
    case 'manifest':
      return `manifests/${wanted.reference}`
    case 'blob':
      return `blobs/${wanted.digest}`
    case 'referrers':
      return `referrers/${wanted.digest}`
    case 'tags':
      return 'tags/list'
  }
}

function isNs(pair: string): boolean {
  const key = pair.split('=', 1)[0] ?? ''
  try {
    return decodeURIComponent(key.replaceAll('+', ' ')) === 'ns'
  } catch {
    return false
  }
}
