import type { Digest } from '../../oci/digest.ts'
import { OCI_INDEX } from '../../oci/media-types.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { filterReferrers } from '../../oci/referrers.ts'
import { Failure } from '../../ports/failure.ts'
import type { CacheResult, Resolver } from '../../ports/resolver.ts'
import type { BodyResources } from '../answer/body.ts'
import { cacheStatus, sourceOf, staleWarning } from '../answer/cache-status.ts'
import type { HttpExchange } from '../exchange/http-exchange.ts'
import { respondList } from './lists.ts'
import type { Query } from './query.ts'

const EMPTY_INDEX = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] }))

/**
 * Never answers 404 (OCI distribution spec, "Listing Referrers"). When upstream cannot be asked, the answer is an error
 * and not an empty list, which would hide signatures.
 */
export async function respondReferrers(
  exchange: HttpExchange,
  repository: Repository,
  subject: Digest,
  options: { query: Query; resolver: Resolver; lists: BodyResources },
): Promise<void> {
  const { index, cacheResult } = await referrersOf(exchange, repository, subject, options.resolver)
  const status = cacheStatus(cacheResult)
  exchange.facts.cacheStatus = status
  exchange.facts.source = sourceOf(cacheResult)
  const common = { 'Content-Type': OCI_INDEX, 'Cache-Status': status, ...staleWarning(cacheResult) }
  const { artifactType } = options.query
  if (artifactType === undefined || artifactType === '')
    return respondList(exchange, common, index, options.lists)
  const filtered = filterReferrers(index, artifactType)
  if (!filtered.ok) throw new Failure('unavailable', filtered.problem)
  const headers = { ...common, 'OCI-Filters-Applied': 'artifactType' }
  await respondList(exchange, headers, filtered.value, options.lists)
}

async function referrersOf(
  { signal }: HttpExchange,
  repository: Repository,
  subject: Digest,
  resolver: Resolver,
): Promise<{ readonly index: Uint8Array; readonly cacheResult: CacheResult }> {
  try {
    return await resolver.referrers(repository, subject, { signal })
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'absent') throw error
    return { index: EMPTY_INDEX, cacheResult: { kind: 'miss', from: 'upstream', collapsed: false } }
  }
}
