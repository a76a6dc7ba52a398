import { type Parsed, parsed, refused } from '../../lib/parsed.ts'
import { isRepositoryName, MAX_NAME_LENGTH } from './names.ts'
import { looksLikeHost, nameOnRegistry, parseRegistryHost } from './registry-host.ts'
import type { Repository } from './repository.ts'

export interface RequestedName {
  /** The name in the path of the request, such as `ghcr.io/acme/app` or `acme/app`. */
  readonly name: string
  /** The query parameter `ns`, in which containerd names the registry. */
  readonly ns: string | undefined
  readonly defaultNamespace: string
}

/** Finds the repository that a request means. Each client has its own way to name the registry to a mirror. */
export function parseRequestedName({ name, ns, defaultNamespace }: RequestedName): Parsed<Repository> {
  const byNs = ns === undefined || ns === '' ? undefined : parseRegistryHost(ns)
  if (ns !== undefined && ns !== '' && byNs === undefined) return refused('ns does not name a registry')

  const named = afterProxyPrefix(name)
  const inPath = named ?? splitHost(name)
  if (inPath === undefined)
    return repository(byNs ?? parseRegistryHost(defaultNamespace) ?? defaultNamespace, name)
  // A first part that looks like a host may belong to a name on the registry of `ns`, unless it follows `/v2/proxy/`.
  if (named === undefined && byNs !== undefined && byNs !== inPath.registry) return repository(byNs, name)
  return repository(inPath.registry, inPath.name)
}

function repository(registry: string, name: string): Parsed<Repository> {
  const whole = nameOnRegistry(registry, name)
  if (registry.length + 1 + whole.length > MAX_NAME_LENGTH) {
    return refused(`the repository name is longer than ${MAX_NAME_LENGTH} characters`)
  }
  if (!isRepositoryName(whole)) return refused('this is not a repository name')
  return parsed({ registry, name: whole })
}

function afterProxyPrefix(name: string): Repository | undefined {
  if (!name.startsWith('proxy/')) return undefined
  return splitHost(name.slice('proxy/'.length))
}

function splitHost(name: string): Repository | undefined {
  const slash = name.indexOf('/')
  if (slash <= 0) return undefined
  const first = name.slice(0, slash)
  if (!looksLikeHost(first)) return undefined
  const registry = parseRegistryHost(first)
  return registry === undefined ? undefined : { registry, name: name.slice(slash + 1) }
}
