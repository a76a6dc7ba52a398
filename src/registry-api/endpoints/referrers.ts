import type { Digest } from '../../oci/digest.ts'
import { OCI_INDEX } from '../../oci/media-types.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { filterReferrers } from '../../oci/referrers.ts'
import type { How, Resolver } from '../../ports/answer.ts'
import { Failure } from '../../ports/failure.ts'
import type { BodyDesk } from '../answer/body.ts'
import { cacheStatus, sourceOf, staleWarning } from '../answer/cache-status.ts'
import type { Exchange } from '../answer/exchange.ts'
import { respondList } from './lists.ts'
import type { Query } from './query.ts'

const NONE = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] }))

/** Never 404, as the spec says; but when upstream cannot be asked never an empty list, which would hide signatures. */
export async function respondReferrers(
  exchange: Exchange,
  repository: Repository,
  subject: Digest,
  asked: { query: Query; resolver: Resolver; lists: BodyDesk },
): Promise<void> {
  const { index, how } = await referrersOf(exchange, repository, subject, asked.resolver)
  const status = cacheStatus(how)
  exchange.findings.cacheStatus = status
  exchange.findings.source = sourceOf(how)
  const about = { 'Content-Type': OCI_INDEX, 'Cache-Status': status, ...staleWarning(how) }
  const { artifactType } = asked.query
  if (artifactType === undefined || artifactType === '')
    return respondList(exchange, about, index, asked.lists)
  const filtered = filterReferrers(index, artifactType)
  if (!filtered.ok) throw new Failure('unavailable', filtered.problem)
  const headers = { ...about, 'OCI-Filters-Applied': 'artifactType' }
  await respondList(exchange, headers, filtered.value, asked.lists)
}

async function referrersOf(
  { signal }: Exchange,
  repository: Repository,
  subject: Digest,
  resolver: Resolver,
): Promise<{ readonly index: Uint8Array; readonly how: How }> {
  try {
    return await resolver.referrers(repository, subject, { signal })
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'absent') throw error
    return { index: NONE, how: { kind: 'miss', from: 'upstream', collapsed: false } }
  }
}
