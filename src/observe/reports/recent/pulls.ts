import type { Digest } from '../../../oci/digest.ts'
import { parseDigest } from '../../../oci/digest.ts'
import { repositoryKey } from '../../../oci/names/repository.ts'
import type { PullReport } from '../../../schemas/pull-report.ts'
import type { FlightRecord, RequestRecord } from '../../records/journal.ts'
import { rfc3339 } from '../../rfc3339.ts'
import { sourceKey } from '../../source-key.ts'
import { pullPart } from './pull-part.ts'

const MAX_PULLS = 20
const MAX_REFERENCES = 5
/** An image has a few dozen layers at most; a client that repeats requests makes more parts than anybody looks at. */
const MAX_PARTS = 60
/** A client may unpack a layer between two requests of one pull; a pause longer than this begins another pull. */
const MAX_PAUSE_MS = 30_000

interface Pull {
  readonly repository: string
  startedAt: number
  readonly endedAt: number
  requests: number
  failed: number
  /** Why the last failed request failed. */
  failure: string | null
  readonly bytes: PullReport['bytes']
  /** The requested tags, newest first. */
  readonly tags: Set<string>
  firstReference: string
  /** Newest first. */
  readonly parts: RequestRecord[]
}

/**
 * Groups requests into pulls: requests for one repository in close succession are one pull. Requests, flights and pulls are
 * newest first.
 */
export function pullsOf(requests: Iterable<RequestRecord>, flights: Iterable<FlightRecord>): PullReport[] {
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
  const flightsOf = byDigest(flights)
  return pulls.map((pull) => reportOf(pull, flightsOf))
}

function newPull(repository: string, { at, reference }: RequestRecord): Pull {
  return {
    repository,
    startedAt: at,
    endedAt: at,
    requests: 0,
    failed: 0,
    failure: null,
    bytes: { local: 0, inflight: 0, peer: 0, objectStore: 0, upstream: 0 },
    tags: new Set(),
    firstReference: reference,
    parts: [],
  }
}

function addRequest(pull: Pull, request: RequestRecord): void {
  const { firstAt, ms, times, code, bytes, source, reference, aborted, error } = request
  // A long request may have started before requests that ended earlier.
  pull.startedAt = Math.min(pull.startedAt, firstAt - ms)
  pull.requests += times
  if (code >= 400 || aborted || error !== undefined) {
    pull.failed += times
    pull.failure ??= error ?? (aborted ? 'the client disconnected' : `status ${code}`)
  }
  if (source !== undefined) pull.bytes[sourceKey(source)] += bytes * times
  pull.firstReference = reference
  if (parseDigest(reference) === undefined && pull.tags.size < MAX_REFERENCES) pull.tags.add(reference)
  if (pull.parts.length < MAX_PARTS) pull.parts.push(request)
}

function byDigest(flights: Iterable<FlightRecord>): ReadonlyMap<Digest, readonly FlightRecord[]> {
  const found = new Map<Digest, FlightRecord[]>()
  for (const flight of flights) {
    const of = found.get(flight.digest)
    if (of === undefined) found.set(flight.digest, [flight])
    else of.push(flight)
  }
  return found
}

function reportOf(
  { tags, firstReference, startedAt, endedAt, parts, ...pull }: Pull,
  flightsOf: ReadonlyMap<Digest, readonly FlightRecord[]>,
): PullReport {
  return {
    ...pull,
    references: tags.size === 0 ? [firstReference] : [...tags],
    startedAt: rfc3339(startedAt),
    endedAt: rfc3339(endedAt),
    parts: parts
      .map((request) => pullPart(request, flightsOf))
      .sort((one, other) => one.startedAt.localeCompare(other.startedAt)),
  }
}
