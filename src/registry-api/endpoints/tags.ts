import type { Repository } from '../../oci/names/repository.ts'
import type { Resolver } from '../../ports/answer.ts'
import type { BodyDesk } from '../answer/body.ts'
import { cacheStatus, sourceOf, staleWarning } from '../answer/cache-status.ts'
import type { Exchange } from '../answer/exchange.ts'
import { refuse } from '../answer/respond.ts'
import { listable } from './listable.ts'
import { respondPage } from './lists.ts'
import type { Query } from './query.ts'

export async function respondTags(
  exchange: Exchange,
  repository: Repository,
  asked: { name: string; path: string; query: Query },
  { resolver, lists }: { resolver: Resolver; lists: BodyDesk },
): Promise<void> {
  const [shown] = await listable([repository], exchange.client, resolver)
  if (shown === undefined) {
    const message = 'tags of private repositories are listed only to clients on this machine'
    return refuse(exchange, { status: 404, code: 'NAME_UNKNOWN', message })
  }
  const { tags, how } = await resolver.tags(repository, { signal: exchange.signal })
  const status = cacheStatus(how)
  exchange.findings.cacheStatus = status
  exchange.findings.source = sourceOf(how)
  const headers = { 'Cache-Status': status, ...staleWarning(how) }
  await respondPage(exchange, tags, { ...asked, headers, desk: lists }, (items) => ({
    name: asked.name,
    tags: items,
  }))
}
