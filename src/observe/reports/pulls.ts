import { parseDigest } from '../../oci/digest.ts'
import { repositoryKey } from '../../oci/names/repository.ts'
import type { PullReport } from '../../schemas/pull-report.ts'
import type { RequestRecord } from '../records/journal.ts'
import { rfc3339 } from './listing.ts'

const MAX_PULLS = 20
const MAX_REFERENCES = 5
/** A client may unpack a layer between two requests of one pull; a pause longer than this begins another pull. */
const MAX_PAUSE_MS = 30_000

interface Pull {
  readonly repository: string
  startedAt: number
  readonly endedAt: number
  requests: number
  failed: number
  readonly bytes: PullReport['bytes']
  /** The requested tags, newest first. */
  readonly tags: Set<string>
  firstReference: string
}

/** Groups requests into pulls: requests for one repository in close succession are one pull. Both are newest first. */
export function pullsOf(requests: Iterable<RequestRecord>): PullReport[] {
  const pulls: Pull[] = []
  const last = new Map<string, Pull>()
  for (const request of requests) {
    const repository = repositoryKey(request.repository)
    let pull = last.get(repository)
    if (pull === undefined || pull.startedAt - request.at > MAX_PAUSE_MS) {
      pull = newPull(repository, request)
      last.set(repository, pull)
      if (pulls.length < MAX_PULLS) pulls.push(pull)
    }
    addRequest(pull, request)
  }
  return pulls.map(reportOf)
}

function newPull(repository: string, { at, reference }: RequestRecord): Pull {
  return {
    repository,
    startedAt: at,
    endedAt: at,
    requests: 0,
    failed: 0,
    bytes: { local: 0, inflight: 0, peer: 0, objectStore: 0, upstream: 0 },
    tags: new Set(),
    firstReference: reference,
  }
}

function addRequest(pull: Pull, request: RequestRecord): void {
  const { firstAt, ms, times, code, bytes, source, reference, aborted, error } = request
  // A long request may have started before requests that ended earlier.
  pull.startedAt = Math.min(pull.startedAt, firstAt - ms)
  pull.requests += times
  if (code >= 400 || aborted || error !== undefined) pull.failed += times
  if (source !== undefined) pull.bytes[source === 'object-store' ? 'objectStore' : source] += bytes * times
  pull.firstReference = reference
  if (parseDigest(reference) === undefined && pull.tags.size < MAX_REFERENCES) pull.tags.add(reference)
}

function reportOf({ tags, firstReference, startedAt, endedAt, ...pull }: Pull): PullReport {
  return {
    ...pull,
    references: tags.size === 0 ? [firstReference] : [...tags],
    startedAt: rfc3339(startedAt),
    endedAt: rfc3339(endedAt),
  }
}
