import type { Repository } from '../../oci/names/repository.ts'
import type { AccessControl } from '../../ports/access.ts'
import type { Resolver } from '../../ports/resolver.ts'
import type { BodyResources } from '../answer/body.ts'
import { cacheStatus, sourceOf, staleWarning } from '../answer/cache-status.ts'
import { respondError } from '../answer/respond.ts'
import type { HttpExchange } from '../exchange/http-exchange.ts'
import { respondPage } from './lists.ts'
import type { Query } from './query.ts'

export async function respondTags(
  exchange: HttpExchange,
  repository: Repository,
  target: { name: string; path: string; query: Query },
  { resolver, access, lists }: { resolver: Resolver; access: AccessControl; lists: BodyResources },
): Promise<void> {
  const [visible] = await access.filterListable(exchange.caller, [repository])
  if (visible === undefined) {
    const message = 'the tags of this repository are not listed for this client'
    return respondError(exchange, { status: 404, code: 'NAME_UNKNOWN', message })
  }
  const { tags, cacheResult } = await resolver.tags(repository, { signal: exchange.signal })
  const status = cacheStatus(cacheResult)
  exchange.facts.cacheStatus = status
  exchange.facts.source = sourceOf(cacheResult)
  const headers = { 'Cache-Status': status, ...staleWarning(cacheResult) }
  await respondPage(exchange, tags, { ...target, headers, resources: lists }, (items) => ({
    name: target.name,
    tags: items,
  }))
}
