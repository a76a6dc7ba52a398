/** A repository: its registry as users name it (`docker.io`, `ghcr.io`, `localhost:5000`), and its name in that registry. */
export interface Repository {
  readonly registry: string
  readonly name: string
}

/** Writes a repository for people and in keys, as in `docker.io/library/alpine`. */
export function repositoryKey(repository: Repository): string {
  return `${repository.registry}/${repository.name}`
}

/** Reverses `repositoryKey`: a registry has no slash in its name. */
export function repositoryFromKey(key: string): Repository | undefined {
  const slash = key.indexOf('/')
  return slash <= 0 ? undefined : { registry: key.slice(0, slash), name: key.slice(slash + 1) }
}

export function isSameRepository(one: Repository, other: Repository): boolean {
  return one.name === other.name && one.registry === other.registry
}

/** Each repository once, in the order of their keys. */
export function sortedRepositories(repositories: readonly Repository[]): readonly Repository[] {
  const byKey = new Map(repositories.map((one) => [repositoryKey(one), one]))
  return [...byKey].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, repository]) => repository)
}
