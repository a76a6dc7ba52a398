import type { Repository } from '../../oci/names/repository.ts'
import type { AccessControl } from '../../ports/access.ts'
import type { Resolver } from '../../ports/resolver.ts'
import type { HttpExchange } from '../exchange/http-exchange.ts'

/**
 * The repositories whose names the client may see. Without access control, private ones are listed only for clients on
 * this machine.
 */
export async function visibleRepositories(
  repositories: readonly Repository[],
  exchange: Pick<HttpExchange, 'client' | 'caller'>,
  { resolver, access }: { readonly resolver: Resolver; readonly access: AccessControl | undefined },
): Promise<readonly Repository[]> {
  if (access !== undefined) return access.filterListable(exchange.caller, repositories)
  if (exchange.client.isLocal) return repositories
  const isPrivate = await Promise.all(repositories.map((repository) => resolver.isPrivate(repository)))
  return repositories.filter((_, index) => isPrivate[index] === false)
}
