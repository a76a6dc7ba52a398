import { isRepositoryName, MAX_NAME_LENGTH } from './names.ts'
import { looksLikeHost, parseRegistryHost } from './registry-host.ts'
import type { Repository } from './repository.ts'
import { repositoryFilter } from './repository-filter.ts'
import { textMatcher } from './wildcards.ts'

/** The registry of the hosted repositories that a pattern names without one, such as `team/**`. */
export const OWN_REGISTRY = 'localhost'

/** How a request names a repository. */
export interface RequestAddress {
  /** The name in the path. */
  readonly name: string
  /** The query parameter `ns`, in which containerd names the registry. */
  readonly ns: string | undefined
  /** The host to which the client has sent the request, with its port. */
  readonly host: string | undefined
}

/**
 * The repositories that take pushes. In a pattern, `*` matches any text without a slash and `**` any text. A pattern that
 * begins with a host names repositories of that registry; any other names repositories of this agent.
 */
export class HostedNames {
  readonly #isHosted: (repository: Repository) => boolean
  readonly #registries: readonly ((registry: string) => boolean)[]

  constructor(patterns: readonly string[]) {
    const named = patterns.map(withOwnRegistry)
    this.#isHosted = repositoryFilter(named)
    this.#registries = named.map((pattern) => textMatcher(registryOf(pattern)))
  }

  /** Whether there may be hosted repositories of a registry. */
  hasRegistry(registry: string): boolean {
    return this.#registries.some((matches) => matches(registry))
  }

  isHosted(repository: Repository): boolean {
    return this.#isHosted(repository)
  }

  /**
   * Finds the hosted repository that a request means if it names no registry but this agent: one of the host to which it
   * was sent, or else one of the agent's own. Undefined: the request means no such repository.
   */
  find({ name, ns, host }: RequestAddress): Repository | undefined {
    if (!isRepositoryName(name)) return undefined
    if (ns !== undefined && ns !== '' && !isThisAgent(ns, host)) return undefined
    const registries = host === undefined ? [] : [host, withoutPort(host)]
    for (const text of [...registries, OWN_REGISTRY]) {
      const registry = parseRegistryHost(text)
      if (registry === undefined || registry.length + 1 + name.length > MAX_NAME_LENGTH) continue
      const repository = { registry, name }
      if (this.#isHosted(repository)) return repository
    }
    return undefined
  }
}

/** Gives a pattern that names no registry the one of this agent. */
export function withOwnRegistry(pattern: string): string {
  const first = pattern.trim().split('/', 1)[0] ?? ''
  return looksLikeHost(first) ? pattern : `${OWN_REGISTRY}/${pattern.trim()}`
}

function registryOf(pattern: string): string {
  const host = pattern.slice(0, pattern.indexOf('/'))
  return parseRegistryHost(host) ?? host
}

/** containerd names the registry of the reference in `ns`, also when that is the agent. */
function isThisAgent(ns: string, host: string | undefined): boolean {
  if (host === undefined) return false
  const [named, asked] = [parseRegistryHost(ns), host.toLowerCase()]
  if (named === asked) return true
  return named !== undefined && isLoopback(named) && isLoopback(asked) && portOf(named) === portOf(asked)
}

function isLoopback(host: string): boolean {
  return ['localhost', '127.0.0.1', '[::1]'].includes(withoutPort(host))
}

function withoutPort(host: string): string {
  return host.replace(/:\d+$/, '')
}

function portOf(host: string): string | undefined {
  return /:(\d+)$/.exec(host)?.[1]
}
