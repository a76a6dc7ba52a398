import { registryInPath } from '../../oci/names/registry-host.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { AccessControl } from '../../ports/access.ts'
import type { Resolver } from '../../ports/resolver.ts'
import type { BodyResources } from '../answer/body.ts'
import type { HttpExchange } from '../exchange/http-exchange.ts'
import { respondPage } from './lists.ts'
import type { Query } from './query.ts'
import { visibleRepositories } from './visible-repositories.ts'

/** Lists the repositories that this agent has served and the client may see, under names that work in paths of this API. */
export async function respondCatalog(
  exchange: HttpExchange,
  target: { path: string; query: Query },
  {
    resolver,
    access,
    isAllowed,
    lists,
  }: {
    resolver: Resolver
    access: AccessControl | undefined
    isAllowed: (repository: Repository) => boolean
    lists: BodyResources
  },
): Promise<void> {
  const all = (await resolver.repositories()).filter(isAllowed)
  const repositories = await visibleRepositories(all, exchange, { resolver, access })
  const names = repositories.map(({ registry, name }) => `${registryInPath(registry)}/${name}`)
  // `registryInPath` replaces `:` by `__`, which changes the order.
  names.sort()
  await respondPage(exchange, names, { ...target, resources: lists }, (items) => ({ repositories: items }))
}
