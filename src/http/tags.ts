import type { Repository } from '../oci/repository.ts'
import type { Resolver } from '../resolve/answer.ts'
import type { BodyDesk } from './body.ts'
import { cacheStatus, sourceOf, staleWarning } from './cache-status.ts'
import type { Exchange } from './exchange.ts'
import { respondPage } from './lists.ts'
import type { Query } from './query.ts'

export async function respondTags(
  exchange: Exchange,
  repository: Repository,
  asked: { name: string; path: string; query: Query },
  { resolver, lists }: { resolver: Resolver; lists: BodyDesk },
): Promise<void> {
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
