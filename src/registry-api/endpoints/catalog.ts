import { OWN_REGISTRY } from '../../oci/names/hosted-names.ts'
import { registryInPath } from '../../oci/names/registry-host.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { AccessControl } from '../../ports/access.ts'
import type { HostedRegistry } from '../../ports/hosted.ts'
import type { Resolver } from '../../ports/resolver.ts'
import type { BodyResources } from '../answer/body.ts'
import type { HttpExchange } from '../exchange/http-exchange.ts'
import { respondPage } from './lists.ts'
import type { Query } from './query.ts'

/** Lists the repositories that this agent has served and the client may see, under names that work in paths of this API. */
export async function respondCatalog(
  exchange: HttpExchange,
  target: { path: string; query: Query },
  {
    resolver,
    access,
    push,
    isAllowed,
    lists,
  }: {
    resolver: Resolver
    access: AccessControl
    push: { readonly hosted: Pick<HostedRegistry, 'isHosted'> } | undefined
    isAllowed: (repository: Repository) => boolean
    lists: BodyResources
  },
): Promise<void> {
  const all = (await resolver.repositories()).filter(isAllowed)
  const repositories = await access.filterListable(exchange.caller, all)
  const names = repositories.map((one) => nameInPath(one, push?.hosted.isHosted(one) === true))
  // Names of this agent have no registry, and `registryInPath` replaces `:` by `__`, which changes the order.
  names.sort()
  await respondPage(exchange, names, { ...target, resources: lists }, (items) => ({ repositories: items }))
}

/** Hosted repositories of the agent itself are called as they are pushed: without a registry. */
function nameInPath({ registry, name }: Repository, isHosted: boolean): string {
  return isHosted && registry === OWN_REGISTRY ? name : `${registryInPath(registry)}/${name}`
}
