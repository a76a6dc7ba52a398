import { nameOnRegistry, parseRegistryHost } from './registry-host.ts'
import { type Repository, repositoryKey } from './repository.ts'

/**
 * Which repositories may be served. In a pattern `*` stands for anything but a slash and `**` for anything at all:
 * `docker.io/library/*`, `ghcr.io/acme/**`; a registry alone is all that is there. No list of patterns allows everything, an empty one nothing.
 */
export function repositoryFilter(
  patterns: readonly string[] | undefined,
): (repository: Repository) => boolean {
  if (patterns === undefined) return () => true
  const matchers = patterns.map(matcher)
  return (repository) => {
    const key = repositoryKey(repository)
    return matchers.some((matches) => matches(key))
  }
}

function matcher(pattern: string): (key: string) => boolean {
  const pieces = canonical(pattern.trim()).split(/(\*+)/)
  // Written out once here; a repository key has at most 255 characters, so its few wildcards cannot take long.
  const source = pieces.map((piece) => (piece.startsWith('*') ? wildcard(piece) : literal(piece))).join('')
  const compiled = new RegExp(`^${source}$`)
  return (key) => compiled.test(key)
}

function wildcard(stars: string): string {
  return stars.length === 1 ? '[^/]*' : '.*'
}

function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

/** Patterns are written with the names that users know: `index.docker.io/alpine` is meant as `docker.io/library/alpine`. */
function canonical(pattern: string): string {
  const slash = pattern.indexOf('/')
  const host = slash < 0 ? pattern : pattern.slice(0, slash)
  const name = slash < 0 ? '**' : pattern.slice(slash + 1)
  const registry = host.includes('*') ? host : (parseRegistryHost(host) ?? host)
  return `${registry}/${name.includes('*') ? name : nameOnRegistry(registry, name)}`
}
