import { type Digest, parseDigest } from '../../../oci/digest.ts'
import type { PullPartReport } from '../../../schemas/pull-report.ts'
import type { FlightRecord, RequestRecord } from '../../records/journal.ts'
import { rfc3339 } from '../../rfc3339.ts'

const MAX_CONTRIBUTORS = 5

/** Reports one request of a pull, with the names of those who have brought its bytes. */
export function pullPart(
  request: RequestRecord,
  flightsOf: ReadonlyMap<Digest, readonly FlightRecord[]>,
): PullPartReport {
  const { reference, route, method, code, ms, at, firstAt, times, bytes, source, aborted, error } = request
  const startedAt = firstAt - ms
  const digest = parseDigest(reference)
  const flights = digest === undefined ? [] : (flightsOf.get(digest) ?? [])
  const flight = source === 'local' ? undefined : flights.find((one) => overlaps(one, startedAt, at))
  return {
    reference,
    route,
    method,
    code,
    startedAt: rfc3339(startedAt),
    ms: at - startedAt,
    times,
    bytes,
    source: source ?? null,
    from: flight === undefined ? [] : contributorsOf(flight),
    error: error ?? (aborted ? 'the client disconnected' : null),
  }
}

function overlaps({ startedAt, ended }: FlightRecord, from: number, to: number): boolean {
  return startedAt <= to && (ended === undefined || startedAt + ended.ms >= from)
}

/** The hosts, buckets and peers that have brought bytes, in the order of their first bytes. */
function contributorsOf({ attempts, peerSteps }: FlightRecord): string[] {
  const names = new Set<string>()
  for (const step of peerSteps) if (step.is === 'taken' && step.event.bytes > 0) names.add(step.event.name)
  for (const { source, sourceKind, bytes } of attempts) {
    if (sourceKind !== 'peer' && bytes > 0) names.add(source)
  }
  return [...names].slice(0, MAX_CONTRIBUTORS)
}
