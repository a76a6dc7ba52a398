import { registryInPath } from '../../oci/names/registry-host.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { Resolver } from '../../ports/answer.ts'
import type { BodyDesk } from '../answer/body.ts'
import type { Exchange } from '../answer/exchange.ts'
import { listable } from './listable.ts'
import { respondPage } from './lists.ts'
import type { Query } from './query.ts'

/** Every repository that this agent has served and may tell this client of, named so that the name works in a path here. */
export async function respondCatalog(
  exchange: Exchange,
  asked: { path: string; query: Query },
  {
    resolver,
    allowed,
    lists,
  }: {
    resolver: Resolver
    allowed: (repository: Repository) => boolean
    lists: BodyDesk
  },
): Promise<void> {
  const all = (await resolver.repositories()).filter(allowed)
  const repositories = await listable(all, exchange.client, resolver)
  const names = repositories.map(({ registry, name }) => `${registryInPath(registry)}/${name}`)
  // Writing `:` as `__` has changed the order.
  names.sort()
  await respondPage(exchange, names, { ...asked, desk: lists }, (items) => ({ repositories: items }))
}
