import { parseDigest } from '../../oci/digest.ts'
import { repositoryKey } from '../../oci/names/repository.ts'
import type { PullReport } from '../../schemas/report.ts'
import type { RequestEntry } from '../records/journal.ts'
import { rfc3339 } from './listing.ts'

const MOST_PULLS = 20
const MOST_REFERENCES = 5
/** Between the requests of one pull a client may unpack what it has. */
const MOST_BETWEEN_MS = 30_000

interface Pull {
  readonly repository: string
  startedAt: number
  readonly endedAt: number
  requests: number
  failed: number
  readonly bytes: PullReport['bytes']
  /** Newest first. */
  readonly tags: Set<string>
  firstReference: string
}

/** Requests, newest first, as pulls: those for one repository that follow each other closely are one. Newest first. */
export function pullsOf(requests: Iterable<RequestEntry>): PullReport[] {
  const pulls: Pull[] = []
  const last = new Map<string, Pull>()
  for (const entry of requests) {
    const repository = repositoryKey(entry.repository)
    let pull = last.get(repository)
    if (pull === undefined || pull.startedAt - entry.at > MOST_BETWEEN_MS) {
      pull = begin(repository, entry)
      last.set(repository, pull)
      if (pulls.length < MOST_PULLS) pulls.push(pull)
    }
    add(pull, entry)
  }
  return pulls.map(reportOf)
}

function begin(repository: string, { at, reference }: RequestEntry): Pull {
  return {
    repository,
    startedAt: at,
    endedAt: at,
    requests: 0,
    failed: 0,
    bytes: { local: 0, inflight: 0, peer: 0, upstream: 0 },
    tags: new Set(),
    firstReference: reference,
  }
}

function add(pull: Pull, entry: RequestEntry): void {
  const { firstAt, ms, times, code, bytes, source, reference, aborted, error } = entry
  // One that took long may have been begun before others that ended before it.
  pull.startedAt = Math.min(pull.startedAt, firstAt - ms)
  pull.requests += times
  if (code >= 400 || aborted || error !== undefined) pull.failed += times
  if (source !== undefined) pull.bytes[source] += bytes * times
  pull.firstReference = reference
  if (parseDigest(reference) === undefined && pull.tags.size < MOST_REFERENCES) pull.tags.add(reference)
}

function reportOf({ tags, firstReference, startedAt, endedAt, ...pull }: Pull): PullReport {
  return {
    ...pull,
    references: tags.size === 0 ? [firstReference] : [...tags],
    startedAt: rfc3339(startedAt),
    endedAt: rfc3339(endedAt),
  }
}
