/** Where an image lives: the registry as users name it (`docker.io`, `ghcr.io`, `localhost:5000`) and the name there. */
export interface Repository {
  readonly registry: string
  readonly name: string
}

/** `docker.io/library/alpine`: how a repository is written for people and in keys. */
export function repositoryKey(repository: Repository): string {
  return `${repository.registry}/${repository.name}`
}

export function isSameRepository(one: Repository, other: Repository): boolean {
  return one.name === other.name && one.registry === other.registry
}
