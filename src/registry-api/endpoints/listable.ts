import type { Repository } from '../../oci/names/repository.ts'
import type { Resolver } from '../../ports/answer.ts'
import type { Client } from '../connections/client.ts'

/** Those of the repositories whose names a client may see: private ones are for clients on this machine. */
export async function listable(
  repositories: readonly Repository[],
  client: Client,
  resolver: Resolver,
): Promise<readonly Repository[]> {
  if (client.isLocal) return repositories
  const secret = await Promise.all(repositories.map((repository) => resolver.isPrivate(repository)))
  return repositories.filter((_, at) => secret[at] === false)
}
