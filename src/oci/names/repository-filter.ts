import { nameOnRegistry, parseRegistryHost } from './registry-host.ts'
import { type Repository, repositoryKey } from './repository.ts'
import { textMatcher } from './wildcards.ts'

/**
 * Decides which repositories may be served. In a pattern, `*` matches any text without a slash and `**` any text, as in
 * `docker.io/library/*` or `ghcr.io/acme/**`. A registry without a name matches all of its repositories. Without a list of
 * patterns every repository may be served, with an empty list none.
 */
export function repositoryFilter(
  patterns: readonly string[] | undefined,
): (repository: Repository) => boolean {
  if (patterns === undefined) return () => true
  const matchers = patterns.map((pattern) => textMatcher(canonical(pattern.trim())))
  return (repository) => {
    const key = repositoryKey(repository)
    return matchers.some((matches) => matches(key))
  }
}

/** Gives a pattern with canonical names: `index.docker.io/alpine` becomes `docker.io/library/alpine`. */
function canonical(pattern: string): string {
  const slash = pattern.indexOf('/')
  const host = slash < 0 ? pattern : pattern.slice(0, slash)
  const name = slash < 0 ? '**' : pattern.slice(slash + 1)
  const registry = host.includes('*') ? host : (parseRegistryHost(host) ?? host)
  return `${registry}/${name.includes('*') ? name : nameOnRegistry(registry, name)}`
}

/** A filter whose patterns can be replaced while others use it. */
export class ReplaceableFilter {
  #isAllowed: (repository: Repository) => boolean

  constructor(patterns: readonly string[] | undefined) {
    this.#isAllowed = repositoryFilter(patterns)
  }

  readonly isAllowed = (repository: Repository): boolean => this.#isAllowed(repository)

  replace(patterns: readonly string[] | undefined): void {
    this.#isAllowed = repositoryFilter(patterns)
  }
}
