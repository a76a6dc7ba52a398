import type { Repository } from '../../oci/names/repository.ts'
import type { Resolver } from '../../ports/resolver.ts'
import type { Client } from '../connections/client.ts'

/** The repositories whose names the client may see: private ones are listed only for clients on this machine. */
export async function visibleRepositories(
  repositories: readonly Repository[],
  client: Client,
  resolver: Resolver,
): Promise<readonly Repository[]> {
  if (client.isLocal) return repositories
  const isPrivate = await Promise.all(repositories.map((repository) => resolver.isPrivate(repository)))
  return repositories.filter((_, index) => isPrivate[index] === false)
}
